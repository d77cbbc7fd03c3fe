"""Compiled engines on disk: found by everything that shaped them, checked before use, written atomically."""

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache as memoised
from pathlib import Path
from typing import Final, TypeVar

from engine.errors import EngineError

log: Final = logging.getLogger("vtv.engine")
PAYLOAD, ENTRY = "payload", "entry.json"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Key:
    """Everything that shaped a compiled engine. Two that differ anywhere never share an entry."""

    model: str
    """Fingerprint."""
    program: str
    scope: str
    dtype: str
    slots: int
    buckets: tuple[int, ...]
    backend: str
    version: str
    device: str

    @property
    def digest(self) -> str:
        """SHA-256 over the fields and the engine's own source."""
        text = json.dumps([asdict(self), source_digest()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@memoised
def source_digest() -> str:
    """SHA-256 over the engine's source files: an engine that other code built is stale."""
    digest, root = hashlib.sha256(), Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()


def default_root() -> Path:
    """`~/.cache/vtv/engines`."""
    return Path.home() / ".cache" / "vtv" / "engines"


class EngineCache:
    """A directory of entries `DIGEST/{payload/,entry.json}`. Its owner's alone: some payloads are code."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def load(self, key: Key, build: Callable[[Path], None], load: Callable[[Path], T]) -> T:
        """`load` the entry's payload; where it is missing, altered or refused, `build` it first.

        `build` writes files into the folder it is given. Raises EngineError where the directory cannot be
        written, and whatever `load` raises on a payload that was built just now.
        """
        entry = self.root / key.digest
        if self._intact(entry, key):
            try:
                return load(entry / PAYLOAD)
            except Exception as error:  # a refusal to read it, of whatever type the backend has
                log.warning("cached engine %s is refused, building it again: %s", entry.name[:12], error)
        shutil.rmtree(entry, ignore_errors=True)
        self._build(entry, key, build)
        return load(entry / PAYLOAD)

    def _intact(self, entry: Path, key: Key) -> bool:
        if not entry.exists():
            return False
        try:
            intact = bool(json.loads((entry / ENTRY).read_text()) == _describe(key, entry / PAYLOAD))
        except (OSError, ValueError):
            intact = False
        if not intact:
            log.warning("cached engine %s is damaged, building it again", entry.name[:12])
        return intact

    def _build(self, entry: Path, key: Key, build: Callable[[Path], None]) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=self.root))
        except OSError as error:
            raise EngineError(f"the engine cache {self.root} cannot be written: {error.strerror}") from None
        try:
            (partial / PAYLOAD).mkdir()
            build(partial / PAYLOAD)
            (partial / ENTRY).write_text(json.dumps(_describe(key, partial / PAYLOAD)) + "\n")
            _publish(partial, entry)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _publish(partial: Path, entry: Path) -> None:
    """Rename into place; what another process put there meanwhile is as good."""
    try:
        partial.rename(entry)
    except OSError:
        if not (entry / ENTRY).is_file():
            raise


def _describe(key: Key, payload: Path) -> dict[str, object]:
    files = {path.name: _digest(path) for path in sorted(payload.iterdir())}
    return {"key": {**asdict(key), "buckets": list(key.buckets)}, "files": files}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
