"""Which clients asked of late: where there is one alone, nothing need be kept for others."""

from collections import OrderedDict
from time import monotonic
from typing import Final

_SECONDS: Final = 2.0


class ActiveClients:
    """Belongs to the event loop."""

    def __init__(self, seconds: float = _SECONDS) -> None:
        self._seconds: Final = seconds
        self._seen: OrderedDict[str, float] = OrderedDict()

    def asks(self, client: str) -> bool:
        """A client asks now. Whether others did within the last seconds."""
        now = monotonic()
        self._seen[client] = now
        self._seen.move_to_end(client)
        while next(iter(self._seen.values())) < now - self._seconds:
            self._seen.popitem(last=False)
        return len(self._seen) > 1
