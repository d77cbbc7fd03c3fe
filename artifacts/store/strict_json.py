"""JSON in an artifact's metadata: what cannot be told on as it is, in a reply or a log, is refused."""

import json
import re
from collections.abc import Iterator
from typing import Any

LONGEST, DEEPEST = 1 << 20, 20
"""Characters, and lists within lists."""
_UNTOLD = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that would break a line, change a terminal or turn what follows, and halves of characters."""


def is_line(text: str) -> bool:
    """Whether a text can stand in a line of a log and in a reply."""
    return len(text) <= LONGEST and not _UNTOLD.search(text)


def strict_json(text: str) -> Any:
    """Parsed; raises ValueError for what is too long or deep, numbers that are none, and halves of characters."""
    try:
        value = json.loads(text, parse_constant=_refuse)
        told = json.dumps(value, allow_nan=False, ensure_ascii=False)
    except RecursionError:
        raise ValueError(f"it has more than {DEEPEST} lists within lists") from None
    if _depth(value) > DEEPEST:
        raise ValueError(f"it has more than {DEEPEST} lists within lists")
    told.encode()
    return value


def texts_in(value: Any) -> Iterator[str]:
    """All texts of a parsed one, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, held in value.items():
            yield name
            yield from texts_in(held)
    elif isinstance(value, list):
        for held in value:
            yield from texts_in(held)


def _depth(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number")
