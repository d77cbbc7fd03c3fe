"""Helpers for every tier: a tiny architecture, artifacts for it, pictures, and a real server process."""

import asyncio
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import numpy as np
import torch
from PIL import Image

from artifacts.store.artifact import save_artifact
from artifacts.store.residual import TaskResidual, save_residual
from engine.confidence import Confidence
from engine.config import MaeConfig, ModelConfig, VqganConfig
from engine.model import MaeVqgan
from engine.network import ZeroShot
from engine.program import Scope
from engine.task_vector import AnswerSettings, TaskVector, site_shapes
from engine.towers.lite0 import Lite0
from tests.forked import ForkedServer

T = TypeVar("T")
SERVE = [sys.executable, "-m", "cli", "serve"]
HOLE_AT = 16
"""Pixels from a photo's left and top: a multiple of JPEG's blocks, so that its hole stays black."""
PATIENCE = 120.0
"""Seconds after which something that must happen counts as not happening."""
TINY = ModelConfig(
    "tiny",
    MaeConfig(width=32, depth=2, heads=2, decoder_width=32, decoder_depth=1, decoder_heads=2, mlp_ratio=2, codes=64),
    VqganConfig(codes=64, code_width=8, z_channels=16, ch=32, ch_mult=(1, 1, 1), res_blocks=1, stem=4),
)
Files = list[tuple[str, tuple[str, bytes, str]]]
"""Of a form: field, then name, content and type."""
ANSWERS = {
    "colorization": AnswerSettings(refine="guided"),
    "identity": AnswerSettings(temperature=0.0),
    "inpaint": AnswerSettings(refine="hole"),
    "lowlight_enhance": AnswerSettings(temperature=1.0),
    "segmentation": AnswerSettings(threshold="otsu", confidence=Confidence("detail", ((0.0, 0.9), (0.5, 0.1)))),
}


def descendants(process: int) -> list[int]:
    """The processes below one, each before those below it."""
    children = [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return [each for child in children for each in (child, *descendants(child))]


def inverted_pairs(root: Path, count: int) -> Path:
    """A folder of pairs: noise, and its negative."""
    draw = np.random.default_rng(count)
    for folder in ("input", "output"):
        (root / folder).mkdir(parents=True)
    for index in range(count):
        cell = draw.integers(0, 256, (111, 111, 3), dtype=np.uint8)
        Image.fromarray(cell).save(root / f"input/{index}.png")
        Image.fromarray(255 - cell).save(root / f"output/{index}.png")
    return root


def tiny_network() -> ZeroShot:
    """The tiny architecture's zero-shot program, with weights that do not matter."""
    return ZeroShot(MaeVqgan(TINY).eval().requires_grad_(False), Scope.ANSWER)


def random_vector(model: MaeVqgan, fingerprint: str, seed: int, share: float = 0.5) -> TaskVector:
    """Random values at a `share` of the sites."""
    generator = torch.Generator().manual_seed(seed)
    tensors = []
    for shape in site_shapes(model.config.mae, model.program("zero_shot")).values():
        tensors.append(torch.randn(shape, generator=generator) * 3)
        tensors.append(torch.rand(shape[:3], generator=generator) < share)
    return TaskVector(*tensors, program="zero_shot", model=fingerprint)


def make_artifact(path: Path, task: str, model: str, seed: int, **changes: str) -> str:
    """Write a task vector of random values at random sites, answered as in ANSWERS; returns its hash."""
    generator = torch.Generator().manual_seed(seed)
    tensors = []
    for shape in site_shapes(TINY.mae, MaeVqgan(TINY).program("zero_shot")).values():
        tensors.append(torch.randn(shape, generator=generator) * 3)
        tensors.append(torch.rand(shape[:3], generator=generator) < 0.6)
    vector = TaskVector(*tensors, program="zero_shot", model=model, answer=ANSWERS.get(task, AnswerSettings()))
    about = {
        "task": task,
        "description": f"Random vector number {seed}.",
        "granularity": "token",
        "method": "random",
        "seed": str(seed),
        "prompts": "0",
        "dataset": "none",
        "metric": '{"name": "iou", "value": 0.5}',
        "created": "2026-01-01T00:00:00Z",
        "code": "test",
    }
    return save_artifact(path, vector, about | changes)


def tiny_tower() -> Lite0:
    """An image tower of 32 px with random weights, large enough that pictures have features of their own."""
    generator = torch.Generator().manual_seed(3)
    tower = Lite0(32, 36).eval().requires_grad_(False)
    for name, values in tower.named_parameters():
        deviation = 0.1 if name.endswith("bias") else 1.8 / values[0].numel() ** 0.5
        values.copy_(torch.randn(values.shape, generator=generator) * deviation)
    return tower


def make_residual(
    path: Path,
    task: str,
    tower: str,
    seed: int,
    width: int = 1280,
    classes: int = 5,
    base: torch.Tensor | None = None,
    **changes: str,
) -> str:
    """Write a classification task for a tower's fingerprint, of a random residual and, unless there is one, a random
    base [K,D]; returns its hash."""
    generator = torch.Generator().manual_seed(seed)
    drawn, residual = (torch.randn(classes, width, generator=generator) for _ in range(2))
    base = drawn if base is None else base
    labels = tuple(f"{task} {number}" for number in range(classes))
    about = {
        "task": task,
        "description": f"Random classes number {seed}.",
        "method": "random",
        "shots": "0",
        "seed": str(seed),
        "dataset": "none",
        "metric": '{"name": "accuracy", "value": 0.5}',
        "created": "2026-01-01T00:00:00Z",
        "code": "test",
    }
    return save_residual(path, TaskResidual(base, residual, 0.5, 20.0, labels, tower), about | changes)


def photo(width: int = 64, height: int = 48, seed: int = 0, file_format: str = "JPEG") -> bytes:
    """An image file of smooth random colours with a black square in it, for the tasks that fill holes."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    side = HOLE_AT * max(1, min(width, height) // 64)
    image.paste("black", (HOLE_AT, HOLE_AT, HOLE_AT + side, HOLE_AT + side))
    return image_file(image, file_format)


def random_tower(size: int = 32) -> Lite0:
    """A tower of small pictures, with random weights that do not let features fade from layer to layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        tower = Lite0(size, size)
        for module in tower.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight)
    return tower.eval().requires_grad_(False)


def image_file(image: Image.Image | np.ndarray, file_format: str = "PNG") -> bytes:
    """A picture as a file."""
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, file_format)
    return buffer.getvalue()


def lesson(count: int, seed: int = 0) -> Files:
    """Noise and its negative, so many pairs, to be taught over HTTP."""
    draw, files = np.random.default_rng(seed), []
    for _ in range(count):
        picture = draw.integers(0, 256, (60, 60, 3), np.uint8)
        for name, one in (("input", picture), ("output", 255 - picture)):
            files.append((name, ("x.png", image_file(one), "image/png")))
    return files


def wait_until(condition: Callable[[], bool], what: str = "it") -> None:
    """Poll until `condition` holds; fails when it does not within PATIENCE."""
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, f"{what} did not happen"
        time.sleep(0.005)


class EventLoop:
    """An event loop that runs on a thread of its own for as long as a `with` block lasts."""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.run(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns or raises, once it is done."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _started(command: Sequence[str] | None, environment: dict[str, str]) -> "subprocess.Popen[str] | ForkedServer":
    if command is None:
        return ForkedServer(environment)
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


class ServerProcess:
    """A server in a process of its own on a port of the system's choice, set up by its environment alone."""

    def __init__(self, command: Sequence[str] | None = None, **settings: str) -> None:
        """`command` None: `vtv serve`, see `tests.forked`."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VTV_")}
        environment |= {"OMP_NUM_THREADS": "1", "VTV_PORT": "0", "VTV_DRAIN_NOTICE_SECONDS": "0"}
        environment |= {f"VTV_{name.upper()}": value for name, value in settings.items()}
        self.settings = settings
        self.process = _started(command, environment)
        self.lines: list[str] = []
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self._wait_for_url()
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=PATIENCE)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
        self.process.stderr.close()
        self._ended.set()

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def _wait_for_url(self) -> str:
        found: list[str] = []

        def listening() -> bool:
            assert not self._ended.is_set(), self.log
            found.extend(re.findall(r"listening on (http://[\w.:\[\]]+)", self.log))
            return bool(found)

        wait_until(listening, "listening")
        return found[0]

    def wait_ready(self) -> None:
        wait_until(lambda: self.client.get("/readyz").status_code == 200, "readiness")

    def metric(self, name: str, **labels: str) -> float:
        """A sample of /metrics, 0 where there is none; `labels` may name some of its labels only."""
        total = 0.0
        for line in self.client.get("/metrics").text.splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.partition("{")[0] == name and all(f'{k}="{v}"' in sample for k, v in labels.items()):
                total += float(value)
        return total

    def infer(self, task: str, image: bytes, **query: str) -> httpx.Response:
        """The raw form of POST /infer."""
        headers = {"Content-Type": "image/jpeg"}
        return self.client.post("/infer", params={"task": task} | query, content=image, headers=headers)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask the process to end and return its exit code."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self._reader.join()
