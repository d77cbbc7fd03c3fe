"""Checkpoints of offline jobs: one file, written whole or not at all, that knows what work it is of."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import torch

from artifacts.workers import lead

State = dict[str, Any]
"""Tensors and plain values: what a job needs to go on as if it had never stopped."""
SAVE_SECONDS = 20.0


def work_key(about: dict[str, Any]) -> str:
    """A hash of all that decides a job's numbers, as JSON types."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


class Checkpoint:
    """The state of the work that `key` names, at `path`; without a path nothing is kept."""

    def __init__(self, path: Path | None, key: str) -> None:
        self.path, self.key = path, key
        self._saved = time.monotonic()

    def load(self) -> State | None:
        """What was saved of the same work; None where there is nothing, or another's, or what cannot be read."""
        if self.path is None or not self.path.is_file():
            return None
        try:
            held = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception:  # of a damaged file, torch raises whatever it stumbles over
            return None
        state: State | None = held["state"] if isinstance(held, dict) and held.get("key") == self.key else None
        return state

    def save(self, state: State) -> None:
        """Replace what is held."""
        if self.path is None or not lead():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(self.path.name + ".partial")
        torch.save({"key": self.key, "state": state}, partial)
        partial.replace(self.path)
        self._saved = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether the last save is longer ago than work one would like to lose."""
        return time.monotonic() - self._saved > SAVE_SECONDS


def beside(path: Path) -> Path:
    """Where the checkpoint of what is to become `path` lies."""
    return path.with_name(path.name + ".checkpoint")
