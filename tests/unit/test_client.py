"""vtv_client.client against a scripted server: what is tried again, and what an error becomes."""

import asyncio
import json
from collections.abc import Callable, Iterator
from itertools import chain, repeat

import httpx
import pytest

from service.errors import (
    DeadlineExceeded,
    InvalidImage,
    InvalidRequest,
    NotReady,
    PayloadTooLarge,
    QueueFull,
    ServiceError,
    Unauthorized,
    UnknownTask,
    UnsupportedMedia,
    problem,
)
from vtv_client import errors
from vtv_client._protocol import Attempts
from vtv_client.client import AsyncVTVClient, VTVClient

Script = Callable[[httpx.Request], httpx.Response]
FINE = httpx.Response(200, content=b"answer", headers={"Content-Type": "image/png", "Server-Timing": "queue;dur=1.5"})


def refusal(error: ServiceError, **headers: str) -> httpx.Response:
    reply = problem(error)
    told = httpx.Headers(dict(reply.headers))
    told.update({"X-Request-ID": "q"} | headers)
    return httpx.Response(error.status, content=bytes(reply.body), headers=told)


def script(*steps: httpx.Response | Exception) -> tuple[Script, list[httpx.Request]]:
    """Replies in turn, the last one for ever; and the requests that came."""
    came: list[httpx.Request] = []
    left: Iterator[httpx.Response | Exception] = chain(steps, repeat(steps[-1]))

    def handler(request: httpx.Request) -> httpx.Response:
        came.append(request)
        step = next(left)
        if isinstance(step, Exception):
            raise step
        return httpx.Response(step.status_code, content=step.content, headers=step.headers)

    return handler, came


def client(handler: Script, **options: float | str) -> VTVClient:
    http = httpx.Client(transport=httpx.MockTransport(handler))
    return VTVClient("http://server/", http=http, **options)  # type: ignore[arg-type]


def test_an_answer_and_what_was_sent() -> None:
    handler, came = script(FINE)
    with client(handler, key="k", timeout=2.0) as vtv:
        answer = vtv.infer("identity", b"\x89PNG...", size="original")
    assert (answer.image, answer.media_type, answer.timing_ms) == (b"answer", "image/png", {"queue": 1.5})
    request = came[0]
    assert str(request.url) == "http://server/infer?task=identity&size=original"
    assert request.headers["authorization"] == "Bearer k"
    assert request.headers["content-type"] == "image/png"
    assert 0 < int(request.headers["x-vtv-timeout-ms"]) <= 2000


@pytest.mark.parametrize("first", [refusal(QueueFull(), **{"Retry-After": "0"}), httpx.ConnectError("no")])
def test_tried_again_until_it_works(first: httpx.Response | Exception) -> None:
    handler, came = script(first, refusal(NotReady(), **{"Retry-After": "0"}), FINE)
    with client(handler) as vtv:
        assert vtv.infer("identity", b"x").image == b"answer"
    assert len(came) == 3


def test_the_asynchronous_client_does_the_same() -> None:
    handler, came = script(refusal(QueueFull(), **{"Retry-After": "0"}), FINE, refusal(InvalidImage()))

    async def use() -> None:
        http = httpx.AsyncClient(transport=httpx.MockTransport(handler))
        async with AsyncVTVClient("http://server", http=http) as vtv:
            assert (await vtv.infer("identity", b"x")).image == b"answer"
            with pytest.raises(errors.InvalidImage):
                await vtv.infer("identity", b"x")

    asyncio.run(use())
    assert len(came) == 3


def test_retries_end() -> None:
    handler, came = script(refusal(QueueFull(), **{"Retry-After": "0"}))
    with client(handler, retries=2) as vtv, pytest.raises(errors.QueueFull):
        vtv.infer("identity", b"x")
    assert len(came) == 3


def test_a_pause_beyond_the_calls_time_is_not_waited_for() -> None:
    handler, came = script(refusal(NotReady(), **{"Retry-After": "60"}))
    with client(handler, timeout=5) as vtv, pytest.raises(errors.NotReady) as caught:
        vtv.infer("identity", b"x")
    assert len(came) == 1
    assert caught.value.retry_after == 60


@pytest.mark.parametrize(
    ("refused", "raised"),
    [
        (InvalidRequest(), errors.InvalidRequest),
        (Unauthorized(), errors.Unauthorized),
        (UnknownTask(["a", "b"]), errors.UnknownTask),
        (PayloadTooLarge(), errors.PayloadTooLarge),
        (UnsupportedMedia(), errors.UnsupportedMedia),
        (InvalidImage(), errors.InvalidImage),
        (DeadlineExceeded(), errors.DeadlineExceeded),
        (ServiceError(), errors.ProblemError),
    ],
)
def test_what_trying_again_cannot_mend_is_raised_at_once(
    refused: ServiceError, raised: type[errors.ProblemError]
) -> None:
    handler, came = script(refusal(refused))
    with client(handler) as vtv, pytest.raises(raised) as caught:
        vtv.infer("identity", b"x")
    assert len(came) == 1
    assert type(caught.value) is raised
    assert (caught.value.status, caught.value.code) == (refused.status, refused.code)
    assert (caught.value.detail, caught.value.request_id) == (refused.detail, "q")
    if isinstance(caught.value, errors.UnknownTask):
        assert caught.value.tasks == ["a", "b"]


def test_other_failures() -> None:
    for failure, raised in (
        (httpx.ReadTimeout("slow"), errors.TimedOut),
        (httpx.Response(502, content=b"<html>"), errors.ProblemError),
    ):
        handler, came = script(failure)
        with client(handler) as vtv, pytest.raises(raised):
            vtv.infer("identity", b"x")
        assert len(came) == 1
    handler, came = script(httpx.ReadError("gone"))
    with client(handler, retries=1) as vtv, pytest.raises(errors.Unreachable):
        vtv.infer("identity", b"x")
    assert len(came) == 2


def test_pauses_grow_and_heed_the_server() -> None:
    attempts = Attempts(1000, 20)
    pauses = [attempts.pause(errors.Unreachable()) for _ in range(10)]
    for count, pause in enumerate(pauses):
        longest = min(0.1 * 2**count, 5.0)
        assert longest / 2 <= pause <= longest
    told = errors.QueueFull(429, "queue_full", "", "", {})
    told.retry_after = 7
    assert 7 < Attempts(1000, 1).pause(told) < 7.2


def test_the_several_images_form() -> None:
    output = {"image": "YQ==", "media_type": "image/webp", "width": 1, "height": 1}
    told = {"artifact": None, "timing_ms": {"queue": 1.0}, "outputs": [output, output]}
    handler, came = script(httpx.Response(200, content=json.dumps(told)))
    with client(handler) as vtv:
        answers = vtv.one_shot((b"in", b"out"), [b"first", b"second"], format="webp")
    assert [answer.image for answer in answers] == [b"a", b"a"]
    body = came[0].read()
    assert all(part in body for part in (b"first", b"second", b'name="example_input"', b'name="example_output"'))
    assert b'name="task"' not in body
