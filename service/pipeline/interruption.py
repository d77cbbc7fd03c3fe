"""What ends a request before it is answered: its deadline, or its client's leaving."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

from service.errors import ClientClosed, DeadlineExceeded, ServiceError

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Interruption:
    """A `with` block that is cancelled at a deadline, or when the client leaves, and that raises DeadlineExceeded or
    ClientClosed then. It is `asyncio.timeout` with a second reason to end."""

    def __init__(self, seconds: float) -> None:
        self.deadline: Final = monotonic() + seconds
        """time.monotonic() seconds."""
        self.reason: type[ServiceError] | None = None
        """Why the block was cancelled."""
        self._task: asyncio.Task[Any] | None = None
        self._watch: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        assert self._task is not None
        self._cancelling = self._task.cancelling()
        delay = self.deadline - monotonic()
        self._alarm = asyncio.get_running_loop().call_later(delay, self._interrupt, DeadlineExceeded)
        return self

    def watch(self, receive: Receive) -> None:
        """From now on until the block ends, take messages from the client, and see it leave."""
        self._watch = asyncio.create_task(_until_disconnect(receive))
        self._watch.add_done_callback(self._client_left)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._alarm.cancel()
        if self._watch is not None:
            self._watch.cancel()
        task, self._task = self._task, None
        # Where somebody else has cancelled the task too, that goes on.
        if self.reason and task and task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise self.reason from None

    def _interrupt(self, reason: type[ServiceError]) -> None:
        # A client's leaving may be told when the block has ended.
        if self.reason is None and self._task is not None:
            self.reason = reason
            self._task.cancel()

    def _client_left(self, watch: asyncio.Task[None]) -> None:
        # A channel that breaks is a client that left: its exception is taken note of and says nothing more.
        if not watch.cancelled():
            watch.exception()
            self._interrupt(ClientClosed)


async def _until_disconnect(receive: Receive) -> None:
    """The server does not cancel a handler whose client leaves; it only says so here."""
    while (await receive())["type"] != "http.disconnect":
        pass
