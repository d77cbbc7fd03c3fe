"""A text that costs something to make and has to be fresh.

However often it is asked for, making it takes a small part of the event loop's time.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Final

_SHARE: Final = 0.1
"""Of the event loop's time, at most."""


class PacedText:
    """Belongs to the event loop. Who asks gets a text made after that; those who wait together get the same."""

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._free_at = 0.0
        self._next: asyncio.Task[bytes] | None = None

    async def get(self) -> bytes:
        """At once, unless it was made just now."""
        if self._next is None:
            self._next = asyncio.create_task(self._made())
        return await asyncio.shield(self._next)  # who leaves takes it from nobody

    async def _made(self) -> bytes:
        await asyncio.sleep(self._free_at - asyncio.get_running_loop().time())
        self._next = None  # who asks from here on gets the one after
        began = perf_counter()
        text = self._make()
        self._free_at = asyncio.get_running_loop().time() + (perf_counter() - began) / _SHARE
        return text
