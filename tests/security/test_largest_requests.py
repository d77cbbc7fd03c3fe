"""The largest request of each kind: what it takes of the server's memory, and of an honest client's time meanwhile."""

import base64
import io
import json
import threading
from collections.abc import Callable
from functools import cache
from time import monotonic

import numpy as np
import pytest
from PIL import Image

from tests.security.hostile_pictures import blank, webp
from tests.security.test_hostile_pictures import Growth
from tests.support import ServerProcess, photo, wait_until

KEY = {"Authorization": "Bearer k"}
MOST_GROWTH = 500 * 2**20
MOST_DELAY = 2.0
"""Seconds."""
BODY = 31 * 2**20
Request = tuple[str, dict[str, str], bytes]
"""Address, headers, body."""


@cache
def noise(width: int, height: int, file_format: str, **options: object) -> bytes:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, **options)
    return buffer.getvalue()


def raw(picture: bytes, query: str = "task=identity") -> Request:
    return f"/infer?{query}", {"Content-Type": "image/png"}, picture


def multipart(*parts: tuple[str, bytes]) -> Request:
    body = b"".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"; filename="f"\r\n\r\n'.encode() + content + b"\r\n"
        for name, content in parts
    )
    task = b'--x\r\nContent-Disposition: form-data; name="task"\r\n\r\nidentity\r\n'
    return "/infer", {"Content-Type": "multipart/form-data; boundary=x"}, task + body + b"--x--\r\n"


def as_json(body: bytes) -> Request:
    return "/infer", {"Content-Type": "application/json"}, body


def tensor(*shape: int) -> Request:
    payload = bytes(int(np.prod(shape)))
    about = {"name": "image", "datatype": "UINT8", "shape": shape, "parameters": {"binary_data_size": len(payload)}}
    head = json.dumps({"inputs": [about]}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return "/v2/models/identity/infer", headers, head + payload


def pairs(count: int) -> Request:
    each = bytes(BODY // count // 2 - 200)
    _, headers, body = multipart(*[(name, each) for _ in range(count) for name in ("input", "output")])
    return "/tasks/taught/teach", headers | KEY, body


LARGEST: dict[str, tuple[set[int], Callable[[], Request]]] = {
    "PNG of 31 MB": ({200}, lambda: raw(noise(3200, 3200, "PNG", compress_level=1))),
    "PNG of 25 megapixels": ({200}, lambda: raw(blank(5000, 5000, 8, 2))),
    "transparent": ({200}, lambda: raw(blank(5000, 5000, 8, 6))),
    "JPEG": ({200}, lambda: raw(noise(5000, 5000, "JPEG", quality=75))),
    "progressive JPEG": ({200}, lambda: raw(noise(5000, 5000, "JPEG", quality=60, progressive=True))),
    "WebP": ({200}, lambda: raw(webp(4800, 4800))),
    "painted at its size": ({200}, lambda: raw(blank(4600, 4600, 8, 2), "task=identity&size=original")),
    "refined at its size": ({200}, lambda: raw(blank(4600, 4600, 8, 2), "task=colorization&size=original")),
    "filled at its size": ({200}, lambda: raw(blank(3900, 3900, 8, 2), "task=inpaint&size=original")),
    "JSON": (
        {200},
        lambda: as_json(
            json.dumps(
                {"task": "identity", "images": [base64.b64encode(noise(2700, 2700, "PNG", compress_level=1)).decode()]}
            ).encode()
        ),
    ),
    "JSON of names": ({400}, lambda: as_json(b'{"task": "identity", ' + b'"a": 1, ' * (BODY // 8) + b'"b": 1}')),
    "JSON, one text": ({400, 422}, lambda: as_json(b'{"task": "identity", "images": ["' + b"a" * BODY + b'"]}')),
    "one large tensor": ({200}, lambda: tensor(1, 3200, 3200, 3)),
    "many tensors": ({200, 400}, lambda: tensor(32, 560, 560, 3)),
    "32 pictures of 25 megapixels": ({200, 504}, lambda: multipart(*[("image", blank(5000, 5000, 8, 2))] * 32)),
    "32 photographs": ({200}, lambda: multipart(*[("image", noise(1000, 1000, "JPEG", quality=80))] * 32)),
    "200,000 parts": ({400, 413}, lambda: multipart(*[("image", b"x")] * 200_000)),
    "pairs to learn from": ({400, 413, 422}, lambda: pairs(60)),
}


@pytest.fixture(scope="module")
def asked(start_server: Callable[..., ServerProcess]) -> ServerProcess:
    return start_server(admin_key="k", codec_processes="1", max_body_bytes=str(32 * 2**20))


@pytest.mark.slow
@pytest.mark.parametrize("kind", LARGEST)
def test_it_delays_nobody_and_takes_bounded_memory(asked: ServerProcess, kind: str) -> None:
    allowed, make = LARGEST[kind]
    address, headers, body = make()
    delays, over = list[float](), threading.Event()

    def honest() -> None:
        while not over.wait(0.02):
            began = monotonic()
            assert asked.infer("identity", photo()).status_code == 200
            delays.append(monotonic() - began)

    growth, client = Growth(asked), threading.Thread(target=honest)
    client.start()
    try:
        reply = asked.client.post(address, headers=headers, content=body)
        wait_until(lambda: bool(delays), "an answer beside it")  # what is refused at once is over before one
    finally:
        over.set()
        client.join()
    print(f"{kind}: {reply.status_code}, {len(body) >> 20} MB, {growth.most() >> 20} MiB more, {max(delays):.2f} s")
    assert reply.status_code in allowed, reply.text[:300]
    assert growth.most() < MOST_GROWTH
    assert max(delays) < MOST_DELAY
