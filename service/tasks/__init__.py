"""Tasks: which are installed, and the store they come from."""
