"""The part of the clients that does no I/O: requests, replies, and when to try again."""

import base64
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Final, TypedDict
from urllib.parse import quote

import httpx

from service.http.schemas import Format, Refine, Size
from vtv_client.errors import BY_CODE, ProblemError, TimedOut, Unreachable, VTVError

File = bytes | Path
"""A file's content, or where it lies."""
_RETRIED_STATUSES: Final = (429, 503)
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer's file."""

    image: bytes
    media_type: str
    artifact: str | None
    """Hash of the task vector that was used."""
    timing_ms: dict[str, float]
    """The server's time by stage."""
    request_id: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, ready to be sent any number of times."""

    method: str
    path: str
    params: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None
    data: dict[str, str] | None = None
    files: list[tuple[str, tuple[str, bytes]]] | None = None


class Wanted(TypedDict, total=False):
    """How answers are wanted; the server's defaults are native, auto, png."""

    size: Size
    refine: Refine
    format: Format


def ask_one(task: str, image: File, wanted: Wanted) -> Asked:
    """The raw form, which costs least."""
    content = _bytes(image)
    return Asked("POST", "/infer", {"task": task, **_texts(wanted)}, {"Content-Type": _media_type(content)}, content)


def ask_many(
    task: str | None, images: Sequence[File], wanted: Wanted, example: tuple[File, File] | None = None
) -> Asked:
    """The multipart form, answered in JSON."""
    files = [("image", ("image", _bytes(image))) for image in images]
    for name, file in zip(("example_input", "example_output"), example or (), strict=False):
        files.append((name, (name, _bytes(file))))
    data = _texts(wanted) | ({"task": task} if task is not None else {})
    return Asked("POST", "/infer", headers={"Accept": "application/json"}, data=data, files=files)


def ask_tasks() -> Asked:
    return Asked("GET", "/tasks")


def ask_install(task: str, artifact: File) -> Asked:
    return Asked("PUT", _task_path(task), content=_bytes(artifact))


def ask_retire(task: str) -> Asked:
    return Asked("DELETE", _task_path(task))


def one_answer(reply: httpx.Response) -> Answer:
    """The answer in a reply to the raw form."""
    stages = (part.strip().partition(";dur=") for part in reply.headers.get("server-timing", "").split(",") if part)
    return Answer(
        reply.content,
        reply.headers["content-type"],
        reply.headers.get("x-vtv-artifact"),
        {name: float(spent) for name, _, spent in stages},
        reply.headers.get("x-request-id", ""),
    )


def many_answers(reply: httpx.Response) -> list[Answer]:
    """The answers in a JSON reply, in the order of the images."""
    told = reply.json()
    request_id = reply.headers.get("x-request-id", "")
    return [
        Answer(
            base64.b64decode(output["image"]), output["media_type"], told["artifact"], told["timing_ms"], request_id
        )
        for output in told["outputs"]
    ]


def checked(reply: httpx.Response) -> httpx.Response:
    """The reply, if it is no problem. Raises ProblemError."""
    if reply.is_success:
        return reply
    members: dict[str, Any] = {}
    if reply.headers.get("content-type", "").startswith("application/problem+json"):
        members = reply.json()
    code = str(members.get("code", "unexpected"))
    detail = str(members.get("detail", f"The reply is not one of this service: status {reply.status_code}."))
    error = BY_CODE.get(code, ProblemError)(
        reply.status_code, code, detail, reply.headers.get("x-request-id", ""), members
    )
    after = reply.headers.get("retry-after", "")
    error.retry_after = float(after) if after.isascii() and after.isdecimal() else None
    raise error


class Attempts:
    """One call's retries within its time.

    Tried again is what the server did not take up (429, 503) and what broke on the way; every request of the
    clients may be sent twice without harm. Pauses double, with jitter, and are never shorter than Retry-After.
    """

    def __init__(self, seconds: float, retries: int) -> None:
        self._deadline = monotonic() + seconds
        self._retries = retries
        self._failed = 0

    def left(self) -> float:
        """Seconds of the call's time that are left, never 0."""
        return max(self._deadline - monotonic(), 1e-3)

    def pause(self, error: Exception) -> float:
        """Seconds to wait before the next attempt; raises a VTVError where there shall be none."""
        failure = _typed(error)
        longest = min(_FIRST_PAUSE_SECONDS * 2**self._failed, _LONGEST_PAUSE_SECONDS)
        self._failed += 1
        again = isinstance(failure, Unreachable) or getattr(failure, "status", 0) in _RETRIED_STATUSES
        seconds = (getattr(failure, "retry_after", None) or 0.0) + random.uniform(longest / 2, longest)
        if not again or self._failed > self._retries or seconds >= self.left():
            raise failure from (None if failure is error else error)
        return seconds


def _typed(error: Exception) -> VTVError:
    if isinstance(error, VTVError):
        return error
    if isinstance(error, httpx.TimeoutException):
        return TimedOut("no reply came in time")
    return Unreachable(f"the server cannot be reached: {error}")


def _bytes(file: File) -> bytes:
    return file if isinstance(file, bytes) else file.read_bytes()


def _texts(wanted: Wanted) -> dict[str, str]:
    return {name: str(value) for name, value in wanted.items()}


def _task_path(task: str) -> str:
    return f"/tasks/{quote(task, safe='')}"


def _media_type(content: bytes) -> str:
    kinds = {b"\x89PNG": "png", b"RIFF": "webp"}
    return f"image/{kinds.get(content[:4], 'jpeg')}"
