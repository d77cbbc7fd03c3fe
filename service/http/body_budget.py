"""Bytes of bodies in hand, of all requests together: what does not fit is read later, not refused.

A request's body is there several times over while it is taken apart, so it counts for more than its length.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_FREE: Final = 1 << 16
"""Bytes of a body that is not worth counting."""
_COPIES, _COPIES_OF_JSON = 2, 4
"""Of a body: what came and what it is taken apart into; texts, and the files in them, come on top."""
_MUCH: Final = 128 * 2**20
"""Bytes that were in hand at once, after which what the C library keeps is given back."""
_SHARE: Final = 0.5
"""Of all, that one client may have while others wait."""


@dataclass(slots=True, eq=False)
class Share:
    """What one body has of the budget. Of a body whose length is not told it grows while the body comes."""

    client: str
    size: int = 0


@dataclass(slots=True, eq=False)
class _Waiting:
    share: Share
    more: int
    turn: "asyncio.Future[None]"
    let_in: bool = False


class BodyBudget:
    """Belongs to the event loop. Who is let in keeps its share until `release`.

    Of the bodies of which a part is in hand and the rest waits for room, one gets what it needs, beyond the limit if
    need be: each of them waiting for the others' parts, none would ever be whole.
    """

    def __init__(self, limit: int, give_back: Callable[[], None] = lambda: None) -> None:
        """`limit` counts bytes; `give_back` is called when much was in hand and nothing is any more."""
        self.limit: Final = limit
        self.in_hand = 0
        self._give_back = give_back
        self._most = 0
        self._of: Counter[str] = Counter()
        self._waiting: deque[_Waiting] = deque()
        self._first: Share | None = None
        """Whose rest goes beyond the limit."""

    @staticmethod
    def size_of(length: int, content_type: bytes) -> int:
        """What a body of `length` bytes counts for."""
        if length <= _FREE:
            return 0
        return length * (_COPIES_OF_JSON if content_type.startswith(b"application/json") else _COPIES)

    async def reserve(self, share: Share, size: int) -> None:
        """Returns when the share may be so large. Who has a part is let in before who has none, else who came first."""
        more = size - share.size
        if more <= 0:
            return
        if self._fits(share, more) and not any(self._fits(w.share, w.more) for w in self._waiting):
            self._take(share, more)
            return
        waiting = _Waiting(share, more, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._let_in()
        try:
            await waiting.turn
        except asyncio.CancelledError:
            if not waiting.let_in:
                self._waiting.remove(waiting)
                self._let_in()
            raise

    def release(self, share: Share) -> None:
        """Nothing of the body is in hand any more."""
        self.in_hand -= share.size
        self._of[share.client] -= share.size
        if self._of[share.client] <= 0:
            del self._of[share.client]
        share.size = 0
        if share is self._first:
            self._first = None
        self._let_in()
        if not self.in_hand and self._most > _MUCH:
            self._most = 0
            self._give_back()

    def _let_in(self) -> None:
        waits = [waiting for waiting in self._waiting if not waiting.turn.done()]  # the others were cancelled just now
        if self._first is None:
            self._first = next((waiting.share for waiting in waits if waiting.share.size), None)
        for waiting in sorted(waits, key=lambda waiting: not waiting.share.size):
            if self._fits(waiting.share, waiting.more):
                self._waiting.remove(waiting)
                self._take(waiting.share, waiting.more)
                waiting.let_in = True
                waiting.turn.set_result(None)

    def _fits(self, share: Share, more: int) -> bool:
        """What is larger than the whole budget is let in alone."""
        if not self.in_hand or share is self._first:
            return True
        within_share = not self._of[share.client] or self._of[share.client] + more <= _SHARE * self.limit
        return within_share and self.in_hand + more <= self.limit

    def _take(self, share: Share, more: int) -> None:
        share.size += more
        self.in_hand += more
        self._of[share.client] += more
        self._most = max(self._most, self.in_hand)
