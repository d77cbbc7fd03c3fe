"""An engine on the simulated accelerator, with the interface of engine.runtime.Engine, and tasks for it."""

import json
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import torch

from artifacts.store.artifact import save_artifact
from artifacts.store.folder import Store
from benchmarks.peers.accelerator import MAX_BATCH, Accelerator
from benchmarks.peers.answers import TASKS, painted
from engine.checkpoint import DESCRIPTION, FORMAT
from engine.classification.head import Head
from engine.classifier import Classifier
from engine.config import MaeConfig, ModelConfig, VqganConfig
from engine.geometry import Pixels
from engine.model import MaeVqgan
from engine.program import EngineProgram
from engine.task_vector import AnswerSettings, TaskVector, site_shapes

_FINGERPRINT: Final = "0" * 64
_CONFIG: Final = ModelConfig(
    "simulated",
    MaeConfig(width=32, depth=1, heads=2, decoder_width=32, decoder_depth=1, decoder_heads=2, mlp_ratio=1, codes=8),
    VqganConfig(codes=8, code_width=8, z_channels=8, ch=32, ch_mult=(1,), res_blocks=1, stem=16),
)


class SimulatedEngine:
    """Waits for the accelerator; a row's answer tells which picture and which task it is of.

    It can be launched one batch ahead, as a GPU can: the accelerator's own thread starts the next batch
    without waiting for the host.
    """

    model_name: Final = "simulated"
    fingerprint: Final = _FINGERPRINT
    backend: Final = "simulated"
    backend_version: Final = "none"
    fallbacks: Final = ()
    buckets: Final = (1, 2, 4, 8, 16, MAX_BATCH)
    in_flight: Final = 2
    tower: Final = None

    def __init__(self, lock_file: Path, slower: float = 1.0, max_batch: int = MAX_BATCH) -> None:
        self.max_batch: Final = max_batch
        self.classifier: Classifier | None = None
        self.device = torch.device("meta")  # beside the processor, and on it nothing is computed
        self.model = MaeVqgan(_CONFIG)
        self.geometry = self.model.geometry
        self._accelerator = Accelerator(lock_file, slower)
        self._stream = ThreadPoolExecutor(1, "accelerator")
        self._task_of: dict[int, int] = {}

    def check_vector(self, vector: TaskVector) -> None:
        vector.check(_CONFIG.mae, self.model.program("zero_shot"), _FINGERPRINT)

    def batch_sizes(self, program: EngineProgram) -> tuple[int, ...]:
        return self.buckets

    def warm_up(self) -> None:
        self._accelerator.compute(1)

    def write_slot(self, slot: int, content: TaskVector | Head) -> None:
        assert isinstance(content, TaskVector)
        self._task_of[slot] = content.answer.radius - 1

    def submit(self, program: EngineProgram, pixels: Pixels, slots: Sequence[int] = ()) -> "Future[Pixels]":
        """Queue a batch on the accelerator: query tiles uint8 [B,tile,tile,3] or canvases uint8 [B,S,S,3] ->
        uint8 [B,cell,cell,3], which for a canvas is the query's cell."""
        return self._stream.submit(self.compute, program, pixels, slots)

    def compute(self, program: EngineProgram, pixels: Pixels, slots: Sequence[int]) -> Pixels:
        """What `submit` does on the accelerator's own thread."""
        self._accelerator.compute(len(pixels))
        if program == "one_shot":
            return pixels[:, self.geometry.tile + 1 :, : self.geometry.cell]
        return painted(pixels, [self._task_of[slot] for slot in slots])[:, 1:, :-1]


def small_model() -> tuple[MaeVqgan, str]:
    """A network with random weights, and its fingerprint."""
    torch.manual_seed(0)
    return MaeVqgan(_CONFIG).eval().requires_grad_(False), _FINGERPRINT


def make_model(directory: Path) -> None:
    """A model's folder as far as it says what the model is: there are no weights."""
    directory.mkdir()
    description = {"format": FORMAT, "fingerprint": _FINGERPRINT, "config": _CONFIG.to_json()}
    (directory / DESCRIPTION).write_text(json.dumps(description))


def make_store(directory: Path) -> Store:
    """A store of the benchmark's tasks for the simulated engine. Their answers are not refined: the time of
    that is the model's, and every server would spend it alike."""
    store = Store(directory / "store")
    shapes = site_shapes(_CONFIG.mae, MaeVqgan(_CONFIG).program("zero_shot"))

    def nothing(part: str) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(shapes[part]), torch.zeros(shapes[part][:3], dtype=torch.bool)

    for number, task in enumerate(TASKS):
        answer = AnswerSettings(refine="none", radius=number + 1)  # the radius tells the engine which task it is
        vector = TaskVector(*nothing("encoder"), *nothing("decoder"), "zero_shot", _FINGERPRINT, answer)
        path = directory / f"{task}.safetensors"
        save_artifact(path, vector, _about(task))
        store.publish(path, _FINGERPRINT)
    return store


def _about(task: str) -> dict[str, str]:
    return {
        "task": task,
        "description": "Stands for a task on the simulated accelerator.",
        "granularity": "head",
        "method": "none",
        "seed": "0",
        "prompts": "0",
        "dataset": "none",
        "metric": '{"name": "none", "value": 0}',
        "created": "2026-01-01T00:00:00Z",
        "code": "benchmark",
    }
