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
class _Waiting:
    client: str
    size: int
    turn: "asyncio.Future[None]"
    let_in: bool = False


class BodyBudget:
    """Belongs to the event loop. Who is let in keeps its share until `release`."""

    def __init__(self, limit: int, give_back: Callable[[], None] = lambda: None) -> None:
        """`limit` counts bytes; `give_back` is called when much was in hand and nothing is any more."""
        self.limit: Final = limit
        self.in_hand = 0
        self._give_back = give_back
        self._most = 0
        self._of: Counter[str] = Counter()
        self._waiting: deque[_Waiting] = deque()

    @staticmethod
    def size_of(length: int, content_type: bytes) -> int:
        """What a body of `length` bytes counts for."""
        if length <= _FREE:
            return 0
        return length * (_COPIES_OF_JSON if content_type.startswith(b"application/json") else _COPIES)

    async def reserve(self, client: str, size: int) -> None:
        """Returns when there is room; who came first is let in first."""
        if self._fits(client, size) and not any(self._fits(w.client, w.size) for w in self._waiting):
            self._take(client, size)
            return
        waiting = _Waiting(client, size, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            await waiting.turn
        except asyncio.CancelledError:
            if waiting.let_in:
                self.release(client, size)
            elif waiting in self._waiting:
                self._waiting.remove(waiting)
            raise

    def release(self, client: str, size: int) -> None:
        self.in_hand -= size
        self._of[client] -= size
        if self._of[client] <= 0:
            del self._of[client]
        for waiting in list(self._waiting):
            if waiting.turn.done():
                self._waiting.remove(waiting)
            elif self._fits(waiting.client, waiting.size):
                self._waiting.remove(waiting)
                self._take(waiting.client, waiting.size)
                waiting.let_in = True
                waiting.turn.set_result(None)
        if not self.in_hand and self._most > _MUCH:
            self._most = 0
            self._give_back()

    def _fits(self, client: str, size: int) -> bool:
        """What is larger than the whole budget is let in alone."""
        within_share = not self._of[client] or self._of[client] + size <= _SHARE * self.limit
        return not self.in_hand or (within_share and self.in_hand + size <= self.limit)

    def _take(self, client: str, size: int) -> None:
        self.in_hand += size
        self._of[client] += size
        self._most = max(self._most, self.in_hand)
