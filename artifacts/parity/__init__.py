"""`vtv parity`: our numbers against those of the public research code, on weights anyone can make again."""

from artifacts.parity.command import main

__all__ = ["main"]
