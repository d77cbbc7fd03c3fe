"""Sees what stands still in a process that serves, and ends the process where only another can help."""
