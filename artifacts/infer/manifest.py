"""What became of each picture: JSON lines that are written as the work goes on, and tell what is left to do."""

import fcntl
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from artifacts.errors import OfflineError

NAME = "manifest.jsonl"


class Manifest:
    """The manifest of one folder of answers; held by one process at a time.

    A picture is done when its line is whole: its answer was written before. What a process that was killed left of a
    line is cut off, and that picture is answered again into the same file.
    """

    def __init__(self, folder: Path, about: Mapping[str, str]) -> None:
        """`about` stands in every line and decides the answers. Raises OfflineError where the folder holds answers made
        otherwise, or another process is at work there."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self._about = folder / NAME, dict(about)
        self.done: set[str] = set()
        self.failed: list[tuple[str, str]] = []
        self._file = self.path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._read()
        except BlockingIOError:
            self._file.close()
            raise OfflineError(f"another process is answering pictures into {folder}") from None
        except OfflineError:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, picture: str, output: str | None, error: str | None) -> None:
        """`picture` is done; its answer lies in `output`, or `error` says why there is none."""
        entry = {"picture": picture, "output": output, **self._about, "time": _now(), "error": error}
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        self._note(entry)

    def _read(self) -> None:
        self._file.seek(0)
        whole = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            self._note(self._checked(line))
        self._file.truncate(whole)

    def _checked(self, line: bytes) -> dict[str, Any]:
        try:
            entry: dict[str, Any] = json.loads(line)
            held = {name: entry[name] for name in ("picture", "error", *self._about)}
        except (ValueError, KeyError, TypeError):
            raise OfflineError(f"{self.path} is no manifest of vtv infer: give another folder") from None
        for name, wanted in self._about.items():
            if held[name] != wanted:
                raise OfflineError(f"{self.path} has answers of {name} {held[name]}, not {wanted}: give another folder")
        return entry

    def _note(self, entry: Mapping[str, Any]) -> None:
        self.done.add(entry["picture"])
        if entry["error"] is not None:
            self.failed.append((entry["picture"], entry["error"]))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
