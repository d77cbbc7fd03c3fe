"""The `vtv` command."""
