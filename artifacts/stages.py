"""The stages of long work, told in lines: people read them, and so does whoever follows the work from outside."""

import re
from collections.abc import Callable
from typing import Final

from artifacts.progress import Progress

_STAGE: Final = re.compile(r"stage (\d+) of (\d+): ([\w ]+)")
_STEP: Final = re.compile(r"step (\d+)/(\d+)")


class Stages:
    """Announces named stages, one after the other."""

    def __init__(self, task: str, names: tuple[str, ...], say: Progress) -> None:
        self._task, self._names, self._say = task, names, say

    def begin(self, name: str) -> None:
        """Say that a stage begins. Raises ValueError for one that is not among the names."""
        self._say(f"{self._task}: stage {self._names.index(name) + 1} of {len(self._names)}: {name}")


class Follower:
    """A Progress that hears stages and the steps within (`artifacts.progress.Steps`), and tells how far the work is."""

    def __init__(self, tell: Callable[[str, float], None]) -> None:
        """`tell` is given the stage's name and the share of all the work that is done, 0 to 1, stages counted alike."""
        self._tell = tell
        self._name, self._number, self._of = "", 0, 1

    def __call__(self, line: str) -> None:
        if begun := _STAGE.search(line):
            self._number, self._of, self._name = int(begun[1]), int(begun[2]), begun[3]
            self._tell(self._name, (self._number - 1) / self._of)
        elif self._number and (step := _STEP.search(line)):
            self._tell(self._name, (self._number - 1 + int(step[1]) / int(step[2])) / self._of)
