"""Artifacts: task vectors, the data and the searches that make them."""
