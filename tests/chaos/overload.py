"""An application on a real socket whose engine computes only when a test lets it, and many clients."""

import asyncio
import base64
import io
import json
import struct
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import uvicorn
from PIL import Image

from benchmarks.peers.answers import STEP
from benchmarks.peers.simulated import SimulatedEngine, make_store
from engine.geometry import Pixels
from engine.program import ProgramName
from service.app import create_app
from service.server import DrainingServer
from service.settings import Settings
from tests.support import wait_until


class GatedEngine(SimulatedEngine):
    """Begins with batches at once and ends none of them before `gate` is set."""

    def __init__(self, lock_file: Path) -> None:
        super().__init__(lock_file)
        self.gate = threading.Event()
        self.launched: list[list[int]] = []
        """For each batch, the colours of its images."""

    def submit(self, program: ProgramName, pixels: Pixels, slots: Sequence[int] = ()) -> "Future[Pixels]":
        self.launched.append([colour_at(tile, 60, 60) for tile in pixels])
        return super().submit(program, pixels, slots)

    def compute(self, program: ProgramName, pixels: Pixels, slots: Sequence[int]) -> Pixels:
        self.gate.wait()
        return super().compute(program, pixels, slots)


class Overloaded:
    """The application in a thread."""

    def __init__(self, directory: Path, **settings: object) -> None:
        store = make_store(directory)
        self.engine = GatedEngine(directory / "accelerator")
        settings_ = Settings(store=store.root, device="cpu", **{"client_share": 1.0} | settings)
        app = create_app(self.engine, lambda progress: self.engine, store, settings_)
        self.batcher = app.state.pipeline.batcher
        config = uvicorn.Config(app, port=0, log_config=None, backlog=4096)
        self._server = DrainingServer(config, app.state.pipeline, drain_seconds=5)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        wait_until(lambda: self._server.started and self.batcher.ready, "readiness")
        self.port: int = self._server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        self.engine.gate.set()
        self._server.should_exit = True
        self._thread.join()


def coloured(colour: int) -> bytes:
    """A small PNG whose colour tells which image it is, below 2**12: even, as an answer is half as bright."""
    pixels = np.empty((16, 16, 3), np.uint8)
    pixels[:] = (2 * (colour >> 8), 2 * (colour >> 4 & 15), 2 * (colour & 15))
    return saved(pixels)


def saved(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def colour_at(pixels: Pixels, row: int, column: int) -> int:
    """Which image `coloured` made, of its pixels."""
    red, green, blue = (int(value) // 2 for value in pixels[row, column])
    return red << 8 | green << 4 | blue


def answered(file: bytes) -> tuple[int, int]:
    """Which image an answer is of, and the number of its task."""
    marked = [divmod(int(value), STEP) for value in np.asarray(Image.open(io.BytesIO(file)))[60, 60]]
    (task,) = {number for number, _ in marked}
    red, green, blue = (half for _, half in marked)
    return red << 8 | green << 4 | blue, task


def raw(image: bytes, task: str = "identity", headers: str = "") -> bytes:
    return request(f"/infer?task={task}", "image/png", image, headers)


def multipart(image: bytes) -> bytes:
    head = '--x\r\nContent-Disposition: form-data; name="task"\r\n\r\nidentity\r\n'
    part = '--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    return request("/infer", "multipart/form-data; boundary=x", (head + part).encode() + image + b"\r\n--x--\r\n")


def as_json(image: bytes) -> bytes:
    body = {"task": "identity", "images": [base64.b64encode(image).decode()]}
    return request("/infer", "application/json", json.dumps(body).encode())


def open_inference(image: bytes) -> bytes:
    payload = struct.pack("<I", len(image)) + image
    about = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(payload)}}
    head = json.dumps({"inputs": [about]}).encode()
    header = f"Inference-Header-Content-Length: {len(head)}\r\n"
    return request("/v2/models/identity/infer", "application/octet-stream", head + payload, header)


def request(path: str, content_type: str, body: bytes, headers: str = "") -> bytes:
    lines = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {content_type}\r\n"
    return f"{lines}{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def outputs(reply: bytes) -> list[bytes]:
    """The image files of a JSON reply."""
    return [base64.b64decode(output["image"]) for output in json.loads(reply)["outputs"]]


async def ask(port: int, request: bytes) -> tuple[int, bytes]:
    """Status and body of the one reply; fails where the server sends anything beyond it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        head, _, rest = (await reader.read(-1)).partition(b"\r\n\r\n")
    finally:
        writer.close()
        await writer.wait_closed()
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    assert len(rest) == length, "more or less than one reply"
    return int(head.split(b" ", 2)[1]), rest
