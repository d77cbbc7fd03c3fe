"""The examples of a Markdown page: its `sh` blocks, each with the JSON that the page says it prints."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ANYTHING = "..."


@dataclass(frozen=True)
class Example:
    """`reply` is None where the page shows none; its texts "..." stand for any text, its fractions for any number."""

    command: str
    reply: Any


def examples(page: Path) -> list[Example]:
    """In the page's order."""
    blocks = [(kind, text) for kind, text in _FENCE.findall(page.read_text()) if kind in ("sh", "json")]
    found = []
    for index, (kind, text) in enumerate(blocks):
        if kind == "sh":
            follows = blocks[index + 1] if index + 1 < len(blocks) else ("", "")
            found.append(Example(text, json.loads(follows[1]) if follows[0] == "json" else None))
    return found


def run(command: str, folder: Path, **environment: str) -> str:
    """What a block prints; fails with what it says on standard error."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def assert_like(shown: Any, printed: Any, where: str = "reply") -> None:
    """The printed JSON has the shown one's members, lengths and texts."""
    assert type(shown) is type(printed), where
    if isinstance(shown, dict):
        assert shown.keys() == printed.keys(), where
        for key, value in shown.items():
            assert_like(value, printed[key], f"{where}.{key}")
    elif isinstance(shown, list):
        if shown != [_ANYTHING]:
            assert len(shown) == len(printed), where
        for one, other in zip(shown, printed, strict=False):
            assert_like(one, other, where)
    elif shown != _ANYTHING and not isinstance(shown, float):
        assert shown == printed, where
