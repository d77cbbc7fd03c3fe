"""service.pipeline.interruption: what ends a request early, and what does not."""

import asyncio
from collections.abc import Coroutine, MutableMapping
from typing import Any

import pytest

from service.errors import ClientClosed, DeadlineExceeded, InvalidImage
from service.pipeline.interruption import Interruption
from tests.support import PATIENCE


class Client:
    """The messages that a server would pass on."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[MutableMapping[str, Any] | OSError] = asyncio.Queue()

    def send(self, kind: str) -> None:
        self._messages.put_nowait({"type": kind})

    def break_off(self) -> None:
        self._messages.put_nowait(ConnectionResetError())

    async def receive(self) -> MutableMapping[str, Any]:
        message = await self._messages.get()
        if isinstance(message, OSError):
            raise message
        return message


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, PATIENCE))


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("seconds", [0.0, 0.01])
def test_the_deadline_ends_the_block(seconds: float) -> None:
    async def late() -> None:
        with Interruption(seconds) as interruption:
            await forever()
        assert interruption.reason is DeadlineExceeded

    with pytest.raises(DeadlineExceeded):
        run(late())


@pytest.mark.parametrize("how", ["says so", "breaks off"])
def test_a_client_that_leaves_ends_the_block(how: str) -> None:
    async def left() -> None:
        client = Client()
        client.send("http.request")  # what is left of a body says nothing
        with Interruption(PATIENCE) as interruption:
            interruption.watch(client.receive)
            client.send("http.disconnect") if how == "says so" else client.break_off()
            await forever()

    with pytest.raises(ClientClosed):
        run(left())


def test_the_first_reason_counts() -> None:
    async def left_late() -> None:
        client = Client()
        with Interruption(0.0) as interruption:
            interruption.watch(client.receive)
            try:
                await forever()
            finally:
                client.send("http.disconnect")
                await asyncio.sleep(0.01)

    with pytest.raises(DeadlineExceeded):
        run(left_late())


def test_a_block_that_has_ended_is_not_interrupted() -> None:
    async def in_time() -> None:
        client = Client()
        with Interruption(0.02) as interruption:
            interruption.watch(client.receive)
            await asyncio.sleep(0)
            client.send("http.disconnect")  # is heard of when the block has ended
        await asyncio.sleep(0.05)
        assert interruption.reason is None

    run(in_time())


def test_other_errors_and_cancellations_are_left_alone() -> None:
    async def fails() -> None:
        with Interruption(PATIENCE):
            raise InvalidImage

    async def waits() -> None:
        with Interruption(PATIENCE):
            await forever()

    async def cancelled() -> None:
        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(InvalidImage):
        run(fails())
    with pytest.raises(asyncio.CancelledError):
        run(cancelled())


def test_who_is_cancelled_from_outside_at_the_deadline_stays_cancelled() -> None:
    async def waits() -> None:
        with Interruption(0.0):
            await forever()

    async def both() -> None:
        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.0, task.cancel)
        await task

    with pytest.raises((asyncio.CancelledError, DeadlineExceeded)):
        run(both())
