"""The forms in which peers take an image and a task name, and the picture in their replies."""

import json
from collections.abc import Callable
from typing import Final

from benchmarks.traffic import raw_request

Build = Callable[[str, str, bytes], bytes]
"""(url, task, image file) -> a request as it goes over the wire."""
Read = Callable[[bytes], bytes]
"""A reply's body -> the picture's file."""
_BOUNDARY: Final = "vtv-benchmark"


def raw(url: str, task: str, image: bytes) -> bytes:
    """The file as the body."""
    return raw_request(url, f"/infer?task={task}", image)


def form(url: str, task: str, image: bytes) -> bytes:
    """An upload form."""
    start = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; name="
    parts = f'{start}"task"\r\n\r\n{task}\r\n{start}"image"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    body = parts.encode() + image + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return raw_request(url, "/infer", body, f"multipart/form-data; boundary={_BOUNDARY}")


def msgpack(url: str, task: str, image: bytes) -> bytes:
    """A msgpack map of two."""
    length = len(image).to_bytes(4, "big")
    body = b"\x82\xa4task" + bytes([0xA0 | len(task)]) + task.encode() + b"\xa5image\xc6" + length + image
    return raw_request(url, "/inference", body, "application/msgpack")


def open_inference(url: str, task: str, image: bytes) -> bytes:
    """The Open Inference Protocol with its binary extension."""
    values = {"image": image, "task": task.encode()}
    tensors = [(name, len(value).to_bytes(4, "little") + value) for name, value in values.items()]
    head = json.dumps(
        {
            "inputs": [
                {"name": name, "shape": [1, 1], "datatype": "BYTES", "parameters": {"binary_data_size": len(value)}}
                for name, value in tensors
            ],
            "outputs": [{"name": "answer", "parameters": {"binary_data": True}}],
        }
    ).encode()
    body = head + b"".join(value for _, value in tensors)
    header = f"Inference-Header-Content-Length: {len(head)}\r\n"
    return raw_request(url, "/v2/models/infer/infer", body, "application/octet-stream", header)


def whole(body: bytes) -> bytes:
    """The body is the file."""
    return body


def after_json(body: bytes) -> bytes:
    """The file is the one binary tensor behind the JSON part."""
    return body[body.index(b"\x89PNG") :]
