"""vtv_client against a scripted server: what is sent, what is tried again, and what an error becomes."""

import asyncio
import json
import pickle
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Any

import httpx
import pytest

import vtv_client
from service import errors as told
from service.errors import ServiceError
from service.http.problems import problem
from vtv_client import AsyncClient, Client
from vtv_client._call import Call, Target
from vtv_client._requests import tasks

Script = Callable[[httpx.Request], httpx.Response]
HEADERS = {"Content-Type": "image/png", "Server-Timing": "queue;dur=1.5, edge;desc=hit, encode;dur=2"}
FINE = httpx.Response(200, content=b"answer", headers=HEADERS)


def refusal(error: ServiceError, **headers: str) -> httpx.Response:
    reply = problem(error)
    sent = httpx.Headers(dict(reply.headers))
    sent.update({"X-Request-ID": "q"} | headers)
    return httpx.Response(error.status, content=bytes(reply.body), headers=sent)


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


def client(handler: Script, **options: Any) -> Client:
    return Client("http://server/", http=httpx.Client(transport=httpx.MockTransport(handler)), **options)


def many(*outputs: dict[str, Any]) -> httpx.Response:
    answered = {"artifact": None, "timing_ms": {"queue": 1.0}, "outputs": outputs}
    return httpx.Response(200, content=json.dumps(answered), headers={"X-Request-ID": "q"})


def test_an_answer_and_what_was_sent() -> None:
    handler, came = script(FINE)
    with client(handler, api_key="k\n", timeout=2.0) as vtv:
        answer = vtv.infer("a+b", b"\x89PNG...", size="original", refine=None)
    assert (answer.image, answer.media_type) == (b"answer", "image/png")
    assert answer.timing_ms == {"queue": 1.5, "encode": 2.0}
    assert (answer.width, answer.height, answer.confidence, answer.artifact) == (None, None, None, None)
    request = came[0]
    assert str(request.url) == "http://server/infer?task=a%2Bb&size=original"
    assert request.headers["authorization"] == "Bearer k"
    assert request.headers["content-type"] == "image/png"
    assert request.headers["user-agent"] == f"vtv-client/{vtv_client.__version__}"
    assert 0 < int(request.headers["x-vtv-timeout-ms"]) <= 2000
    assert 0 < request.extensions["timeout"]["read"] <= 2


def test_a_mask_goes_beside_its_image() -> None:
    handler, came = script(httpx.Response(200, content=b"answer", headers=HEADERS | {"X-VTV-Confidence": "0.25"}))
    with client(handler) as vtv:
        assert vtv.infer("inpaint", b"picture", mask=b"hole", threshold="auto").confidence == 0.25
    assert came[0].headers["accept"] == "image/*"
    body = came[0].read()
    for name, content in ("image", b"picture"), ("mask", b"hole"), ("task", b"inpaint"), ("threshold", b"auto"):
        part = body.split(f'; name="{name}"'.encode())[1].split(b"--")[0]
        assert part.endswith(b"\r\n\r\n" + content + b"\r\n")
    assert not any(f'; name="{name}"'.encode() in body for name in ("size", "refine", "format"))


def test_several_images() -> None:
    output = {"image": "YQ==", "media_type": "image/webp", "width": 3, "height": 2}
    handler, came = script(many(output, output | {"confidence": 0.5}))
    with client(handler) as vtv:
        answers = vtv.infer_many("inpaint", [b"first", b"second"], masks=[b"hole 1", b"hole 2"], format="webp")
    assert [answer.image for answer in answers] == [b"a", b"a"]
    assert [answer.confidence for answer in answers] == [None, 0.5]
    assert (answers[0].width, answers[0].height, answers[0].request_id) == (3, 2, "q")
    body = came[0].read()
    assert [body.count(f'; name="{name}"'.encode()) for name in ("image", "mask", "task", "format")] == [2, 2, 1, 1]


def test_after_an_example() -> None:
    handler, came = script(many())
    with client(handler) as vtv:
        assert vtv.one_shot(b"in", b"out", [b"first"]) == []
    body = came[0].read()
    assert all(part in body for part in (b"first", b'name="example_input"', b'name="example_output"'))
    assert b'name="task"' not in body


@pytest.mark.parametrize(
    ("keys", "infers", "installs"),
    [
        ({"api_key": "u", "admin_key": "a"}, "Bearer u", "Bearer a"),
        ({"admin_key": "a"}, "Bearer a", "Bearer a"),
        ({"api_key": "u"}, "Bearer u", "Bearer u"),
        ({}, None, None),
    ],
)
def test_which_key_is_sent(keys: dict[str, str], infers: str | None, installs: str | None) -> None:
    described = {"name": "n", "kind": "painting", "description": "", "classes": None, "takes": []}
    described |= {"artifact": "h", "metric": None, "created": None}
    handler, came = script(FINE, httpx.Response(200, content=json.dumps(described | {"of a later server": 1})))
    with client(handler, **keys) as vtv:
        vtv.infer("identity", b"x")
        assert vtv.install("a/b", b"file") == vtv_client.Task(**described)
    assert [request.headers.get("authorization") for request in came] == [infers, installs]
    assert (came[1].method, came[1].url.raw_path, came[1].read()) == ("PUT", b"/tasks/a%2Fb", b"file")


def test_an_address_without_a_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="http://"):
        Client("localhost:8000")


@pytest.mark.parametrize("first", [refusal(told.QueueFull(), **{"Retry-After": "0"}), httpx.ConnectError("no")])
def test_tried_again_until_it_works(first: httpx.Response | Exception) -> None:
    handler, came = script(first, refusal(told.NotReady(), **{"Retry-After": "0"}), FINE)
    with client(handler) as vtv:
        assert vtv.infer("identity", b"x").image == b"answer"
    assert len(came) == 3
    assert len({request.headers["x-request-id"] for request in came}) == 1
    left = [int(request.headers["x-vtv-timeout-ms"]) for request in came]
    assert left[0] > left[1] > left[2]


def test_the_asynchronous_client_does_the_same() -> None:
    handler, came = script(refusal(told.QueueFull(), **{"Retry-After": "0"}), FINE, refusal(told.InvalidImage()))

    async def use() -> None:
        http = httpx.AsyncClient(transport=httpx.MockTransport(handler))
        async with AsyncClient("http://server", http=http) as vtv:
            assert (await vtv.infer("identity", b"x")).image == b"answer"
            with pytest.raises(vtv_client.InvalidImage):
                await vtv.infer("identity", b"x")

    asyncio.run(use())
    assert len(came) == 3


def test_retries_end() -> None:
    handler, came = script(refusal(told.QueueFull(), **{"Retry-After": "0"}))
    with client(handler, retries=2) as vtv, pytest.raises(vtv_client.QueueFull):
        vtv.infer("identity", b"x")
    assert len(came) == 3


def test_a_pause_beyond_the_calls_time_is_not_waited_for() -> None:
    handler, came = script(refusal(told.NotReady(), **{"Retry-After": "9"}))
    with client(handler, timeout=5, retries=1) as vtv, pytest.raises(vtv_client.NotReady) as caught:
        vtv.infer("identity", b"x")
    assert len(came) == 1
    assert caught.value.retry_after == 9


@pytest.mark.parametrize(
    "refused",
    [
        told.InvalidRequest(),
        told.Unauthorized(),
        told.UnknownTask(["a", "b"]),
        told.NotFound(),
        told.MethodNotAllowed(),
        told.PayloadTooLarge(),
        told.UnsupportedMedia(),
        told.InvalidImage(),
        told.DeadlineExceeded(),
        ServiceError(),
    ],
)
def test_what_trying_again_cannot_mend_is_raised_at_once(refused: ServiceError) -> None:
    handler, came = script(refusal(refused))
    with client(handler) as vtv, pytest.raises(vtv_client.ProblemError) as caught:
        vtv.infer("identity", b"x")
    assert len(came) == 1
    error = caught.value
    assert type(error).__name__ == (type(refused).__name__ if type(refused) is not ServiceError else "Internal")
    assert (error.status, error.code) == (refused.status, refused.code)
    assert (error.detail, error.request_id) == (refused.detail, "q")
    assert str(error) == f"{refused.detail} ({refused.status} {refused.code}, request q)"
    if isinstance(error, vtv_client.UnknownTask):
        assert error.tasks == ["a", "b"]
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.members) == (type(error), str(error), error.members)


def test_a_code_of_a_later_server_is_still_a_problem() -> None:
    handler, _ = script(httpx.Response(418, json={"code": "teapot", "detail": "No coffee."}))
    with client(handler) as vtv, pytest.raises(vtv_client.ProblemError) as caught:
        vtv.tasks()
    assert (type(caught.value), caught.value.code) == (vtv_client.ProblemError, "teapot")


@pytest.mark.parametrize(
    ("failure", "attempts", "raised"),
    [
        (httpx.ReadTimeout("slow"), 1, vtv_client.TimedOut),
        (httpx.ReadError("gone"), 2, vtv_client.Unreachable),
        (httpx.RemoteProtocolError("gone"), 2, vtv_client.Unreachable),
        (httpx.LocalProtocolError("a header that is none"), 1, vtv_client.Unreachable),
        (httpx.Response(502, content=b"<html>"), 1, vtv_client.UnexpectedReply),
        (httpx.Response(503, content=b"<html>"), 2, vtv_client.UnexpectedReply),
        (httpx.Response(400, content=b"[1]"), 1, vtv_client.UnexpectedReply),
        (httpx.Response(200, content=b"{}"), 1, vtv_client.UnexpectedReply),
        (httpx.Response(200, content=b"{", headers={"Content-Type": "text/html"}), 1, vtv_client.UnexpectedReply),
    ],
)
def test_other_failures(failure: httpx.Response | Exception, attempts: int, raised: type[Exception]) -> None:
    for ask in (lambda vtv: vtv.infer("identity", b"x"), lambda vtv: vtv.tasks()):
        handler, came = script(failure)
        with client(handler, retries=1) as vtv, pytest.raises(raised) as caught:
            ask(vtv)
        assert type(caught.value) is raised
        assert len(came) == attempts
        assert caught.value.request_id == came[0].headers["x-request-id"]


def test_a_deadline_that_the_server_notices_is_a_timeout_too() -> None:
    assert issubclass(vtv_client.DeadlineExceeded, vtv_client.TimedOut)


def test_pauses_grow_and_heed_the_server() -> None:
    call = Call(Target("http://server", None, None, 1000, 20), tasks())
    for count in range(10):
        longest = min(0.1 * 2**count, 5.0)
        assert longest / 2 <= call.pause(httpx.ConnectError("no")) <= longest
    refused = vtv_client.QueueFull(429, "queue_full", "", "", {}, 7)
    assert 7 < Call(Target("http://server", None, None, 1000, 1), tasks()).pause(refused) < 7.2
