"""How long a client waits that is told that its share is full.

Hundreds of its connections that ask again at once, whatever Retry-After says, would keep the event loop from others. So
its refusals come one after the other, so many a second; while a request waits for its own, its body is not read.
"""

import asyncio
from typing import Final

_LEAST_SECONDS: Final = 0.25
_APART_SECONDS: Final = 0.02
"""Between two refusals of one client."""
_MOST_SECONDS: Final = 4.0
"""Less than a server that stops gives to its last replies."""


class Refusals:
    """Belongs to the event loop."""

    def __init__(self) -> None:
        self._last: Final[dict[str, float]] = {}
        """When the last refusal is due of each client that has some to come."""

    async def turn(self, client: str) -> None:
        """Returns when the client may be told."""
        now = asyncio.get_running_loop().time()
        due = max(now + _LEAST_SECONDS, self._last.get(client, 0.0) + _APART_SECONDS)
        due = self._last[client] = min(due, now + _MOST_SECONDS)
        try:
            await asyncio.sleep(due - now)
        finally:
            if self._last.get(client) == due:
                del self._last[client]
