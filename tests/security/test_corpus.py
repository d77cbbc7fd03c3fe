"""The hostile corpus: every file and request has its documented answer, in time and memory, and harms nobody else."""

import http.client
import json
from collections.abc import Callable, Iterator
from time import monotonic
from urllib.parse import urlsplit

import pytest

from tests.security.corpus_pictures import pictures
from tests.security.corpus_requests import JPEG, Case, requests
from tests.security.test_hostile_pictures import Growth
from tests.support import ServerProcess, photo

pytestmark = pytest.mark.slow
GROWTH = 300 * 2**20
"""Bytes above rest, of all the server's processes together."""
IN_TIME = 1.0
"""Seconds; on a machine that does other things too, several times that now and then."""
PATIENT = 10.0
CODES = {
    400: "invalid_request",
    401: "unauthorized",
    404: "",
    405: "",
    415: "unsupported_media",
    422: "invalid_image",
    504: "deadline_exceeded",
}


def cases() -> Iterator[Case]:
    for name, status, data in pictures():
        yield Case(name, status, body=data, headers=JPEG)
    yield from requests()


def ask(server: ServerProcess, case: Case) -> tuple[int, http.client.HTTPMessage, bytes]:
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    parts = (case.body[start : start + 100] for start in range(0, len(case.body), 100))
    headers = case.headers | ({"Transfer-Encoding": "chunked"} if case.chunked else {})
    connection.request(
        case.method, case.path, parts if case.chunked else case.body, headers, encode_chunked=case.chunked
    )
    reply = connection.getresponse()
    found = reply.status, reply.headers, reply.read()
    connection.close()
    return found


def wrong_with(case: Case, status: int, headers: http.client.HTTPMessage, body: bytes) -> str:
    """In words; nothing where the answer is as documented."""
    if status != case.status:
        return f"{status}, not {case.status}: {body[:150]!r}"
    if status == 200:
        return ""
    if headers["content-type"] != "application/problem+json":
        return f"its error is {headers['content-type']}"
    problem = json.loads(body)
    if problem["status"] != status or CODES[status] not in (problem["code"], ""):
        return f"its code is {problem['code']}"
    detail = problem["detail"]
    if not (20 < len(detail) < 1000) or "\n" in detail or "Traceback" in detail or "/work" in detail:
        return f"it says {detail!r}"
    return ""


def test_each_is_answered_as_documented(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(admin_key="k", codec_processes="1")
    for _ in range(20):
        assert server.infer("identity", photo()).status_code == 200
    growth, faults, late = Growth(server), [], 0
    asked = list(cases())
    for case in asked:
        began = monotonic()
        fault = wrong_with(case, *ask(server, case))
        seconds = monotonic() - began
        late += seconds > IN_TIME
        if fault or seconds > PATIENT:
            faults.append(f"{case.name}: {fault or f'{seconds:.1f} s'}")
    assert not faults, "\n".join([f"{len(faults)} of {len(asked)}", *faults])
    assert len(asked) > 400
    assert late < len(asked) / 20
    assert growth.most() < GROWTH
    assert not any("Traceback" in line for line in server.lines)
    assert server.infer("identity", photo()).status_code == 200
    assert server.metric("vtv_codec_restarts_total") == 0
