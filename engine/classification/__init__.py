"""Classification over a frozen image encoder: heads, and the bank they are served from."""

from typing import Literal

Precision = Literal["bfloat16", "float32"]
"""What an image tower computes in."""
DEFAULT_CLASSES = 1024
"""Classes of one task, at most: what a row of the bank has room for."""
