"""What is sent: a mix of tasks and image sizes, and what became of each request."""

import io
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from urllib.parse import quote, urlsplit

import numpy as np
from PIL import Image

from engine.geometry import Pixels


@dataclass(frozen=True, slots=True)
class Sent:
    """One request; times are time.perf_counter() seconds."""

    due: float
    """When it should have been sent: a client that a stalled server held up does not hide the stall."""
    sent: float
    ended: float
    status: int


class Mix:
    """Prepared requests, drawn by weight, the same ones for the same seed."""

    def __init__(self, requests: Sequence[tuple[bytes, float]], seed: int = 0) -> None:
        self._requests = [request for request, _ in requests]
        self._weights = [weight for _, weight in requests]
        self._draw = random.Random(seed)

    def next(self) -> bytes:
        """A request as it goes over the wire."""
        if len(self._requests) == 1:
            return self._requests[0]
        return self._draw.choices(self._requests, self._weights)[0]


def infer_mix(
    url: str, tasks: Mapping[str, float], images: Sequence[tuple[bytes, float]], refine: str, seed: int = 0
) -> Mix:
    """Every task with every image, in the raw form of `POST /infer`; each has a weight. `refine` is the API's."""
    stated = "" if refine == "auto" else f"&refine={refine}"  # which a classification would refuse
    return Mix(
        [
            (raw_request(url, f"/infer?task={quote(task)}{stated}", image), weight * share)
            for (task, weight), (image, share) in product(tasks.items(), images)
        ],
        seed,
    )


def tensor_mix(url: str, tasks: Mapping[str, float], pixels: Pixels, seed: int = 0) -> Mix:
    """Every task with the pictures uint8 [N,H,W,3], in the binary form of the Open Inference Protocol; the answers
    are tensors as well, as the engine gives them."""
    payload = pixels.tobytes()
    size = {"binary_data_size": len(payload)}
    head = json.dumps(
        {
            "inputs": [{"name": "image", "datatype": "UINT8", "shape": pixels.shape, "parameters": size}],
            "outputs": [{"name": "answer", "parameters": {"binary_data": True}}],
            "parameters": {"refine": "none"},
        }
    ).encode()
    headers = f"Inference-Header-Content-Length: {len(head)}\r\n"
    body = head + payload
    return Mix(
        [
            (raw_request(url, f"/v2/models/{quote(task)}/infer", body, "application/octet-stream", headers), weight)
            for task, weight in tasks.items()
        ],
        seed,
    )


def raw_request(url: str, path: str, body: bytes, content_type: str = "image/jpeg", headers: str = "") -> bytes:
    """A POST as it goes over the wire; `headers` are whole lines."""
    lines = f"POST {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nContent-Type: {content_type}\r\n"
    return f"{lines}{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def at_size(image: bytes, longest: int) -> bytes:
    """An image file as a JPEG whose longer side has `longest` pixels."""
    with Image.open(io.BytesIO(image)) as opened:
        picture = opened.convert("RGB")
    scale = longest / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    buffer = io.BytesIO()
    picture.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def with_hole(image: bytes) -> bytes:
    """An image file as a JPEG with a black region, for the tasks that fill one."""
    with Image.open(io.BytesIO(image)) as opened:
        picture = opened.convert("RGB")
    width, height = picture.size
    picture.paste("black", (width // 4, height // 4, width // 2, height // 2))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def as_pixels(image: bytes, side: int, count: int) -> Pixels:
    """An image file so many times, uint8 [count,side,side,3]."""
    with Image.open(io.BytesIO(image)) as opened:
        picture = opened.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
    return np.repeat(np.asarray(picture)[None], count, axis=0)
