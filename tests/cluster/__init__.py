"""The offline job on Ray."""
