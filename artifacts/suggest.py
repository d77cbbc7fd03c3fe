"""What somebody may have meant who mistyped a name."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean NAME?` for the known name nearest to a word; empty where none is near."""
    near = get_close_matches(word, [name for name in known if name != word], 1)
    return f"; did you mean {near[0]}?" if near else ""
