"""Batching: who waits, what the engine gets next, and what happens when it fails."""
