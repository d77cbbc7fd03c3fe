"""Readers of strangers' bytes. Each takes any, and may raise what it documents alone: everything else is a fault."""

import asyncio
import os
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from starlette.requests import Request
from starlette.types import Message

from artifacts.errors import ArtifactError, OfflineError
from artifacts.pickles.plain import as_tensor, read_pickle
from artifacts.pictures.limits import PictureLimits
from artifacts.store.base import load_any
from engine.errors import CheckpointError
from service.codec import images
from service.errors import ServiceError
from service.http.calls import read_call
from service.oip.tensors import read_tensors
from training.import_checkpoint import infer_mae, infer_vqgan
from training.import_checkpoint import read_tensors as read_checkpoint

LIMITS = PictureLimits(1_000_000, memory=64 * 2**20)
BOUNDARY = "fuzz"
_loop = asyncio.new_event_loop()
_file = NamedTemporaryFile(dir="/dev/shm" if os.path.isdir("/dev/shm") else None, suffix=".bin")  # noqa: SIM115


def _written(data: bytes) -> Path:
    _file.seek(0)
    _file.truncate()
    _file.write(data)
    _file.flush()
    return Path(_file.name)


def artifact(data: bytes) -> None:
    """The reader of artifact files, of either kind."""
    with suppress(ArtifactError):
        load_any(_written(data))


def pickle(data: bytes) -> None:
    """The reader of the public code's pickles."""
    with suppress(OfflineError):
        as_tensor(read_pickle(_written(data)))


def checkpoint(data: bytes) -> None:
    """The import of official checkpoints: `data` is the pickle in a file of torch."""
    with zipfile.ZipFile(_file.name, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/byteorder", "little")
        for number in range(3):
            archive.writestr(f"archive/data/{number}", bytes(64))
        archive.writestr("archive/version", "3\n")
    with suppress(CheckpointError):
        tensors = read_checkpoint(Path(_file.name), "model")
        with suppress(CheckpointError):
            infer_mae(tensors, None, None)
        infer_vqgan(tensors, {})


def multipart(data: bytes) -> None:
    """The form of `POST /infer`."""
    _read(data, f"multipart/form-data; boundary={BOUNDARY}")


def json(data: bytes) -> None:
    """The JSON of `POST /infer`."""
    _read(data, "application/json")


def query(data: bytes) -> None:
    """The query of `POST /infer`."""
    _read(b"x", "image/jpeg", data)


def tensors(data: bytes) -> None:
    """Requests of the Open Inference Protocol: the JSON part's size in two bytes (65,535: none), then the body."""
    if len(data) >= 2:
        size = struct.unpack("<H", data[:2])[0]
        with suppress(ServiceError):
            read_tensors(data[2:], None if size == 0xFFFF else str(size), "identity", 4)


def image(data: bytes) -> None:
    """Picture files."""
    with suppress(ServiceError):
        images.read(data, LIMITS)
    with suppress(ServiceError):
        images.read(data, LIMITS, 112)


TARGETS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one for one in (artifact, pickle, checkpoint, multipart, json, query, tensors, image)
}


def _read(body: bytes, content_type: str, asked: bytes = b"") -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/infer",
        "query_string": asked,
        "headers": [(b"content-type", content_type.encode())],
    }
    with suppress(ServiceError):
        _loop.run_until_complete(read_call(Request(scope, receive), 4))
