"""Every request that the clients make, as data: no I/O here."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Literal, TypedDict, TypeVar
from urllib.parse import quote

import httpx

from vtv_client import _replies
from vtv_client.answer import Answer
from vtv_client.classification import Classification
from vtv_client.job import Job
from vtv_client.task import Task

File = bytes | str | os.PathLike[str]
"""A file: its content, or its path. Images are JPEG, PNG or WebP."""
Result = TypeVar("Result")
_Files = list[tuple[str, tuple[str, bytes]]]


class Options(TypedDict, total=False):
    """How answers are wanted. What is left out, or None, is the server's to choose."""

    size: Literal["native", "original"] | None
    """`native` is 112 x 112 pixels, the server's default; `original` is the query's size."""
    refine: Literal["auto", "guided", "none"] | None
    """`auto`, the server's default, does what the task's artifact says; `guided` follows the query's edges."""
    threshold: Literal["none", "auto"] | None
    """`auto` makes a mask black and white, cut where the task's artifact says; the server's default is soft."""
    format: Literal["png", "webp", "jpeg"] | None
    """The answer's file format; the server's default is `png`."""


@dataclass(frozen=True, slots=True)
class Request(Generic[Result]):
    """A request, ready to be sent any number of times, and how its reply is read."""

    method: str
    path: str
    read: Callable[[httpx.Response], Result]
    params: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None
    data: Mapping[str, str | list[str]] | None = None
    files: _Files | None = None
    admin: bool = False
    """Whether the admin key is needed."""


def infer(task: str, image: bytes, mask: bytes | None, options: Options) -> Request[Answer]:
    """One image: the raw form, which costs least, unless there is a mask."""
    fields = {"task": task, **_given(options)}
    if mask is None:
        headers = {"Content-Type": _media_type(image)}
        return Request("POST", "/infer", _replies.answer, params=fields, headers=headers, content=image)
    files = _files("image", [image]) + _files("mask", [mask])
    return Request("POST", "/infer", _replies.answer, headers={"Accept": "image/*"}, data=fields, files=files)


def infer_many(task: str, images: Iterable[bytes], masks: Iterable[bytes], options: Options) -> Request[list[Answer]]:
    """Several images in one request; `masks` are none, or one for each."""
    return _form({"task": task, **_given(options)}, _files("image", images) + _files("mask", masks))


def one_shot(
    example_input: bytes, example_output: bytes, images: Iterable[bytes], options: Options
) -> Request[list[Answer]]:
    """Several images after a solved pair."""
    pair = _files("example_input", [example_input]) + _files("example_output", [example_output])
    return _form(_given(options), pair + _files("image", images))


def classify(task: str, image: bytes, top_k: int | None) -> Request[Classification]:
    """One image, in the raw form."""
    headers = {"Content-Type": _media_type(image)}
    fields = {"task": task, **_given({"top_k": top_k})}
    return Request("POST", "/infer", _replies.classification, params=fields, headers=headers, content=image)


def classify_many(task: str, images: Iterable[bytes], top_k: int | None) -> Request[list[Classification]]:
    """Several images in one request."""
    fields = {"task": task, **_given({"top_k": top_k})}
    return Request("POST", "/infer", _replies.classifications, data=fields, files=_files("image", images))


def tasks() -> Request[list[Task]]:
    """Every task."""
    return Request("GET", "/tasks", _replies.tasks)


def task(name: str) -> Request[Task]:
    """One task."""
    return Request("GET", _task_path(name), _replies.task)


def install(name: str, artifact: bytes) -> Request[Task]:
    """An artifact's file, to be served from now on."""
    return Request("PUT", _task_path(name), _replies.task, content=artifact, admin=True)


def retire(name: str) -> Request[None]:
    """A task, to be served no more."""
    return Request("DELETE", _task_path(name), _replies.nothing, admin=True)


def teach(name: str, inputs: Iterable[bytes], outputs: Iterable[bytes], force: bool) -> Request[Job]:
    """A job that makes a task of pairs."""
    files = _files("input", inputs) + _files("output", outputs)
    path = f"{_task_path(name)}/teach"
    return Request("POST", path, _replies.job, data={"force": str(force).lower()}, files=files, admin=True)


def teach_classes(name: str, images: Iterable[bytes], labels: Iterable[str], force: bool) -> Request[Job]:
    """A job that makes a classification task of labelled pictures."""
    data: dict[str, str | list[str]] = {"force": str(force).lower(), "label": list(labels)}
    return Request(
        "POST", f"{_task_path(name)}/teach", _replies.job, data=data, files=_files("input", images), admin=True
    )


def job(job_id: str) -> Request[Job]:
    """A job as it is now."""
    return Request("GET", _job_path(job_id), _replies.job, admin=True)


def jobs() -> Request[list[Job]]:
    """Every job that the server remembers."""
    return Request("GET", "/jobs", _replies.jobs, admin=True)


def cancel(job_id: str) -> Request[None]:
    """A job, to be stopped."""
    return Request("DELETE", _job_path(job_id), _replies.nothing, admin=True)


def read_file(file: File) -> bytes:
    """A file's content. Raises OSError."""
    return file if isinstance(file, bytes) else Path(file).read_bytes()


def read_files(files: Iterable[File]) -> list[bytes]:
    """The files' contents. Raises OSError."""
    return [read_file(file) for file in files]


def _form(fields: dict[str, str], files: _Files) -> Request[list[Answer]]:
    headers = {"Accept": "application/json"}
    return Request("POST", "/infer", _replies.answers, headers=headers, data=fields, files=files)


def _files(name: str, contents: Iterable[bytes]) -> _Files:
    return [(name, (name, content)) for content in contents]


def _given(options: Mapping[str, object]) -> dict[str, str]:
    """Servers refuse what they do not know: only what is set is sent."""
    return {name: str(value) for name, value in options.items() if value is not None}


def _task_path(name: str) -> str:
    return f"/tasks/{quote(name, safe='')}"


def _job_path(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='')}"


def _media_type(content: bytes) -> str:
    kinds = {b"\x89PNG": "png", b"RIFF": "webp"}
    return f"image/{kinds.get(content[:4], 'jpeg')}"
