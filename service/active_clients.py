"""Which clients asked of late, and how much: where nobody asks little beside others, nothing is kept for anyone."""

from collections import OrderedDict
from time import monotonic
from typing import Final

_SECONDS: Final = 2.0
_FEW: Final = 2
"""Images in hand at once, at most, of a client that asks little."""


class ActiveClients:
    """Belongs to the event loop."""

    def __init__(self, seconds: float = _SECONDS) -> None:
        self._seconds: Final = seconds
        self._seen: Final[OrderedDict[str, float]] = OrderedDict()
        self._had_many: Final[OrderedDict[str, float]] = OrderedDict()

    def asks(self, client: str, in_hand: int) -> bool:
        """A client asks now, and has so many images in hand with that. Whether several clients asked within the last
        seconds, and one of them had few in hand all the time."""
        now = monotonic()
        self._note(self._seen, client, now)
        if in_hand > _FEW:
            self._note(self._had_many, client, now)
        for clients in (self._seen, self._had_many):
            while clients and next(iter(clients.values())) < now - self._seconds:
                clients.popitem(last=False)
        return len(self._seen) > max(1, len(self._had_many))

    @staticmethod
    def _note(clients: OrderedDict[str, float], client: str, now: float) -> None:
        clients[client] = now
        clients.move_to_end(client)
