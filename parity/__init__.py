"""`vtv parity`: our numbers against those of the public research code, on weights anyone can make again."""

from parity.command import main

__all__ = ["main"]
