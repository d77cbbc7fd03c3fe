"""Classification over a frozen image encoder: heads, and the bank they are served from."""

DEFAULT_CLASSES = 1024
"""Classes of one task, at most: what a row of the bank has room for."""
