"""service.errors and service.http.problems: problem details as the contract names them."""

import json
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from service import errors
from service.http.problems import from_http_exception, problem


def body(error: errors.ServiceError) -> dict[str, Any]:
    reply = problem(error)
    assert reply.media_type == "application/problem+json"
    assert reply.status_code == error.status
    return dict(json.loads(bytes(reply.body)))


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.InvalidRequest(), 400, "invalid_request"),
        (errors.UnknownTask([]), 404, "unknown_task"),
        (errors.PayloadTooLarge(), 413, "payload_too_large"),
        (errors.UnsupportedMedia(), 415, "unsupported_media"),
        (errors.InvalidImage(), 422, "invalid_image"),
        (errors.QueueFull(), 429, "queue_full"),
        (errors.ClientClosed(), 499, "client_closed"),
        (errors.ServiceError(), 500, "internal"),
        (errors.NotReady(), 503, "not_ready"),
        (errors.DeadlineExceeded(), 504, "deadline_exceeded"),
    ],
)
def test_members_are_the_contracts(error: errors.ServiceError, status: int, code: str) -> None:
    told = body(error)
    assert {"type", "title", "status", "detail", "code"} <= told.keys()
    assert (told["status"], told["code"]) == (status, code)
    assert told["title"]
    assert told["detail"]


def test_unknown_task_lists_the_installed_ones() -> None:
    told = body(errors.UnknownTask(["identity", "inpaint"]))
    assert told["tasks"] == ["identity", "inpaint"]
    assert "identity, inpaint" in told["detail"]


@pytest.mark.parametrize("error", [errors.QueueFull(), errors.NotReady()])
def test_temporary_refusals_say_when_to_come_back(error: errors.ServiceError) -> None:
    assert int(problem(error).headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "not_found"), (405, "method_not_allowed"), (400, "invalid_request"), (500, "internal")],
)
def test_the_frameworks_errors_lose_their_own_words(status: int, code: str) -> None:
    told = body(from_http_exception(HTTPException(status, "/srv/secret: KeyError")))
    assert told["code"] == code
    assert "secret" not in json.dumps(told)


def test_method_not_allowed_keeps_the_allow_header() -> None:
    error = from_http_exception(HTTPException(405, headers={"Allow": "POST"}))
    assert problem(error).headers["Allow"] == "POST"
