"""Reads replies: no I/O here. A reply of another shape than is expected raises KeyError, TypeError or ValueError."""

import base64
import re
from dataclasses import fields
from typing import Any

import httpx

from vtv_client.answer import Answer
from vtv_client.classification import Classification, ScoredClass
from vtv_client.errors import BY_CODE, ProblemError, UnexpectedReply
from vtv_client.job import Job
from vtv_client.task import Task


def answer(reply: httpx.Response) -> Answer:
    """The bare file; what is known about it stands in the headers."""
    media_type = reply.headers["content-type"]
    if not media_type.startswith("image/"):
        raise ValueError(media_type)
    confidence = reply.headers.get("x-vtv-confidence")
    return Answer(
        image=reply.content,
        media_type=media_type,
        width=None,
        height=None,
        confidence=None if confidence is None else float(confidence),
        artifact=reply.headers.get("x-vtv-artifact"),
        request_id=reply.headers.get("x-request-id", ""),
        timing_ms=_stages(reply.headers.get("server-timing", "")),
    )


def answers(reply: httpx.Response) -> list[Answer]:
    """Those in a JSON reply, in the order of the images."""
    told = reply.json()
    return [
        Answer(
            image=base64.b64decode(output["image"]),
            media_type=output["media_type"],
            width=output["width"],
            height=output["height"],
            confidence=output.get("confidence"),
            artifact=told["artifact"],
            request_id=reply.headers.get("x-request-id", ""),
            timing_ms=told["timing_ms"],
        )
        for output in told["outputs"]
    ]


def classifications(reply: httpx.Response) -> list[Classification]:
    """Those in a JSON reply, in the order of the images."""
    told = reply.json()
    return [
        Classification(
            classes=tuple(ScoredClass(entry["label"], entry["score"]) for entry in output["classes"]),
            artifact=told["artifact"],
            request_id=reply.headers.get("x-request-id", ""),
            timing_ms=told["timing_ms"],
        )
        for output in told["outputs"]
    ]


def classification(reply: httpx.Response) -> Classification:
    """The one in a JSON reply."""
    (only,) = classifications(reply)
    return only


def tasks(reply: httpx.Response) -> list[Task]:
    """Every task that is listed."""
    return [_task(told) for told in reply.json()["tasks"]]


def task(reply: httpx.Response) -> Task:
    """The one task that is described."""
    return _task(reply.json())


def job(reply: httpx.Response) -> Job:
    """The one job that is described."""
    return _job(reply.json())


def jobs(reply: httpx.Response) -> list[Job]:
    """Every job that is listed."""
    return [_job(told) for told in reply.json()["jobs"]]


def nothing(_: httpx.Response) -> None:
    """For replies without a body."""


def problem(reply: httpx.Response, request_id: str) -> ProblemError:
    """The error for a reply that is no success; `request_id` is the one that was sent."""
    request_id = reply.headers.get("x-request-id", request_id)
    after = reply.headers.get("retry-after", "")
    retry_after = float(after) if after.isascii() and after.isdecimal() else None
    try:
        members = reply.json()
        code, detail = str(members["code"]), str(members["detail"])
    except (KeyError, TypeError, ValueError):
        return unexpected(reply, request_id, retry_after)
    return BY_CODE.get(code, ProblemError)(reply.status_code, code, detail, request_id, members, retry_after)


def unexpected(reply: httpx.Response, request_id: str, retry_after: float | None = None) -> UnexpectedReply:
    """The error for a reply that cannot be read."""
    media_type = reply.headers.get("content-type", "no media type")
    detail = f"This is not a reply that was expected: status {reply.status_code}, {media_type}."
    return UnexpectedReply(reply.status_code, "unexpected_reply", detail, request_id, {}, retry_after)


def _task(told: dict[str, Any]) -> Task:
    return Task(**{member.name: told[member.name] for member in fields(Task)})


def _job(told: dict[str, Any]) -> Job:
    return Job(**{member.name: told[member.name] for member in fields(Job)})


def _stages(server_timing: str) -> dict[str, float]:
    """`queue;dur=1.5, decode;dur=0.2` as a dict; what proxies add without a duration is left out."""
    return {name: float(spent) for name, spent in re.findall(r"([\w-]+);dur=(\d+(?:\.\d+)?)", server_timing)}
