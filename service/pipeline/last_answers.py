"""Whether one slot makes the same of pictures that differ: a dead vector's answer may have any number of colours."""

from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from engine.geometry import Pixels
from engine.runner import Row
from service.pipeline.answer_check import LEAST_CONTRAST, alike, glance, query_of

_TRUSTED_SECONDS: Final = 60.0


@dataclass(slots=True)
class _Seen:
    """A glance at a picture and its answer, and which version made it."""

    version: str
    query: Pixels
    answer: Row
    trusted_until: float = float("-inf")


@dataclass(slots=True)
class LastAnswers:
    """Of every slot the last one. A slot that showed that it looks at pictures is trusted for a minute: nothing is
    compared then, nor does a camera that shows nothing new for hours cost more than once a minute."""

    _seen: dict[int, _Seen] = field(default_factory=dict)

    def repeats(self, answer: Row, pixels: Pixels, slot: int, version: str) -> bool:
        """Whether an answer uint8 [111, 111, 3] looks like the last one of its slot and version, whose picture was
        another: no proof, as clients choose the pictures."""
        before = self._seen.get(slot)
        if before is None or before.version != version:
            self._seen[slot] = _Seen(version, glance(query_of(pixels)), glance(answer))
            return False
        if monotonic() < before.trusted_until:
            return False
        query = glance(query_of(pixels))
        if query.tobytes() == before.query.tobytes():  # mostly the same picture, of which nothing is learnt
            return False
        now = self._seen[slot] = _Seen(version, query, glance(answer))
        if not alike(now.answer, before.answer):
            self.trust(slot)
            return False
        return not alike(now.query, before.query, LEAST_CONTRAST)

    def trust(self, slot: int) -> None:
        """A slot was found to look at pictures."""
        if (seen := self._seen.get(slot)) is not None:
            seen.trusted_until = monotonic() + _TRUSTED_SECONDS
