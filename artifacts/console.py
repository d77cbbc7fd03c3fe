"""Lines for people. Standard output holds results alone, so these go to standard error."""

import sys


def say(line: str) -> None:
    """Print a line on standard error."""
    print(line, file=sys.stderr, flush=True)


def keep_quiet(_: str) -> None:
    """Say nothing, where another process tells the same."""
