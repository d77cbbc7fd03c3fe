"""vtv_client's streams against a scripted server: bounded, as they are done, one image's failure its own."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing
from pathlib import Path
from time import monotonic

import httpx
import pytest

from service.errors import InvalidImage, NotReady
from service.http.problems import problem
from tests.support import PATIENCE
from vtv_client import Answer, AsyncClient, Client
from vtv_client import InvalidImage as Unreadable

Handler = Callable[[httpx.Request], httpx.Response]
Pairs = list[tuple[bytes, object]]


def answered(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=request.read(), headers={"Content-Type": "image/png"})


def client(handler: Handler, **options: float) -> Client:
    http = httpx.Client(transport=httpx.MockTransport(handler))
    return Client("http://server", http=http, **options)  # type: ignore[arg-type]


def collected(handler: Handler, images: Iterable[bytes | Path], concurrency: int = 3, by: str = "threads") -> Pairs:
    """The whole stream by either client."""
    if by == "threads":
        with client(handler) as vtv:
            return list(vtv.stream("identity", images, concurrency=concurrency))

    async def use() -> Pairs:
        http = httpx.AsyncClient(transport=httpx.MockTransport(handler))
        async with AsyncClient("http://server", http=http) as vtv:
            return [pair async for pair in vtv.stream("identity", images, concurrency=concurrency)]

    return asyncio.run(use())


@pytest.mark.parametrize("by", ["threads", "tasks"])
def test_every_image_comes_with_its_own_answer(by: str) -> None:
    images = [b"%d" % number for number in range(20)]
    pairs = collected(answered, images, by=by)
    assert sorted(image for image, _ in pairs) == sorted(images)
    assert all(isinstance(answer, Answer) and answer.image == image for image, answer in pairs)


@pytest.mark.parametrize("by", ["threads", "tasks"])
def test_what_fails_comes_with_its_error_and_the_others_go_on(by: str, tmp_path: Path) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.read() != b"bad":
            return answered(request)
        reply = problem(InvalidImage())
        return httpx.Response(reply.status_code, content=bytes(reply.body), headers=dict(reply.headers))

    missing = tmp_path / "missing.jpg"
    outcomes = dict(collected(handler, [b"1", b"bad", missing, b"2"], by=by))
    assert isinstance(outcomes[b"bad"], Unreadable)
    assert isinstance(outcomes[missing], FileNotFoundError)
    assert isinstance(outcomes[b"1"], Answer)
    assert isinstance(outcomes[b"2"], Answer)


@pytest.mark.parametrize("by", ["threads", "tasks"])
def test_no_concurrency_is_refused(by: str) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        collected(answered, [b"x"], concurrency=0, by=by)


def test_as_many_at_once_as_was_said_and_no_more() -> None:
    together = threading.Barrier(3)
    lock = threading.Lock()
    now = most = 0

    def handler(request: httpx.Request) -> httpx.Response:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        together.wait(PATIENCE)  # passes only if three are in hand at once
        with lock:
            now -= 1
        return answered(request)

    assert len(collected(handler, [b"%d" % number for number in range(9)])) == 9
    assert most == 3


def test_a_slow_image_holds_none_back() -> None:
    others_are_done = threading.Event()

    def handler(request: httpx.Request) -> httpx.Response:
        if request.read() == b"slow":
            assert others_are_done.wait(PATIENCE)
        return answered(request)

    with client(handler) as vtv:
        done = []
        for image, _ in vtv.stream("identity", [b"slow", b"1", b"2", b"3", b"4"], concurrency=2):
            done.append(image)
            if len(done) == 4:
                others_are_done.set()
    assert done == [b"1", b"2", b"3", b"4", b"slow"]


def test_images_are_taken_only_as_answers_are() -> None:
    taken = 0

    def images() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x"

    with client(answered) as vtv:
        for count, _ in enumerate(vtv.stream("identity", images(), concurrency=4), 1):
            assert taken <= 4 + count
            if count == 10:
                break
    assert taken <= 14


@pytest.mark.parametrize("by", ["threads", "tasks"])
def test_leaving_a_stream_does_not_wait_for_retries(by: str) -> None:
    refused = threading.Event()

    def handler(request: httpx.Request) -> httpx.Response:
        if request.read() == b"good":
            assert by == "tasks" or refused.wait(PATIENCE)
            return answered(request)
        refused.set()
        reply = problem(NotReady())
        return httpx.Response(503, content=bytes(reply.body), headers=dict(reply.headers) | {"retry-after": "20"})

    images, started = [b"bad", b"good"], monotonic()
    if by == "threads":
        with client(handler, retries=1) as vtv:
            assert next(vtv.stream("identity", images, concurrency=2))[0] == b"good"
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("vtv-client")]
        assert monotonic() - started < 20
        return

    async def use() -> None:
        http = httpx.AsyncClient(transport=httpx.MockTransport(handler))
        async with (
            asyncio.timeout(20),
            AsyncClient("http://server", http=http, retries=1) as vtv,
            aclosing(vtv.stream("identity", images, concurrency=2)) as stream,
        ):
            assert (await anext(stream))[0] == b"good"
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(use())
