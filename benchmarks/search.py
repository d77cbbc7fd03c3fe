"""`vtv bench search`: a search's samples, set against the public algorithm's structure on the same machine and model.

The public code answers one sample at a time in float32: it encodes the canvas with the VQGAN for a number nobody
reads, and decodes the whole canvas for a metric of a quarter of it. Values and pictures are random; arithmetic
does not depend on what they hold.
"""

import json
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import torch

from artifacts.data.episodes import Episodes, make_episodes
from artifacts.data.scenes import Scenes
from artifacts.evaluation.metrics import mse
from artifacts.forward import device_of, to_planes
from artifacts.provenance import commit
from artifacts.search.gates import GateSearch
from artifacts.search.reinforce import reinforce_loss
from artifacts.search.run import Search
from artifacts.search.settings import method_settings
from artifacts.tasks import TASKS
from benchmarks.engine import interleave
from engine.checkpoint import load_model
from engine.config import PUBLISHED
from engine.device import best_device
from engine.geometry import Quadrant
from engine.model import MaeVqgan
from engine.overrides import write
from engine.program import Scope
from engine.task_vector import site_shapes

BASELINE: Final = "public structure: one sample at a time, VQGAN encode, full decode"
SCENES: Final = 12


@dataclass(frozen=True, slots=True)
class Row:
    """One way to search: samples (model evaluations) a call, milliseconds a sample by the median, and the ratio."""

    name: str
    samples: int
    calls: int
    ms_per_sample: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Report:
    """Rows, the first of them the baseline, and what was measured on what."""

    rows: list[Row]
    about: dict[str, Any]


def main(asked: Namespace) -> int:
    """The command. Returns 0; raises EngineError for a model that cannot be loaded."""
    if asked.threads:
        torch.set_num_threads(asked.threads)
    torch.set_flush_denormal(True)
    device = asked.device or best_device()
    report = bench(_model(asked).to(device), asked.samples, asked.seconds, asked.granularity)
    if asked.output:
        asked.output.write_text(json.dumps(asdict(report), indent=2) + "\n")
    print(json.dumps(asdict(report)) if asked.json else table(report))
    return 0


def bench(model: MaeVqgan, samples: int, seconds: float, granularity: str = "group") -> Report:
    """Measure every way for about `seconds` each, in turn."""
    values, train = random_values(model), _episodes()
    task = TASKS["colorization"]

    def search(objective: str) -> Search:
        settings = method_settings(
            "reinforce", objective=objective, samples=samples, granularity=granularity, published=True
        )
        return Search(model, task, values, settings)

    pixel, token = search("pixel"), search("token")
    own = method_settings("gates", granularity=granularity)  # its own, smaller step: a backward pass keeps every row
    gates = GateSearch(model, task, values, own)
    jobs: dict[str, tuple[int, Callable[[], object]]] = {
        BASELINE: (1, PublicSample(pixel, train)),
        "reinforce, pixel objective": (samples, lambda: pixel.step(train)),
        "reinforce, token objective": (samples, lambda: token.step(train)),
        "gates, pixel objective (forward and backward)": (own.samples, lambda: gates.step(train)),
    }
    spent = interleave({name: call for name, (_, call) in jobs.items()}, seconds)
    each = {name: float(np.median(spent[name])) / count for name, (count, _) in jobs.items()}
    rows = [
        Row(name, count, len(spent[name]), each[name] * 1e3, each[BASELINE] / each[name])
        for name, (count, _) in jobs.items()
    ]
    return Report(rows, {"model": model.config.name, "granularity": granularity} | _about(device_of(model)))


class PublicSample:
    """One sample as the public algorithm takes it, with its share of the update."""

    def __init__(self, search: Search, train: Episodes) -> None:
        self.search, geometry = search, search.model.geometry
        first = train.part(slice(1))
        self.canvas = geometry.canvas(first.example_input, first.example_output, first.query, first.answer)
        self.answer = first.answer
        self.values = search.values

    def __call__(self) -> float:
        """Sample, expand, encode, predict, decode, score, and estimate the gradient of two such samples."""
        samples = self.search.sample(2)
        loss = self._loss(samples[:1])
        estimate = reinforce_loss(self.search.logits, samples, torch.tensor([loss, loss + 1.0]))
        estimate.backward()
        self.search.logits.grad = None
        return loss

    @torch.inference_mode()
    def _loss(self, sample: torch.Tensor) -> float:
        model, geometry = self.search.model, self.search.model.geometry
        planes = to_planes(self.canvas, device_of(model))
        model.vae.encode(planes * 2 - 1).cpu()
        encoder, decoder = (
            write(value[:, None], mask.to(planes.device))
            for value, mask in zip(self.values, self.search.variables.expand(sample.bool()), strict=True)
        )
        rows, columns = geometry.tile_box(Quadrant.QUERY)
        logits = model.logits("zero_shot", model.normalise(planes)[..., rows, columns], encoder, decoder)
        decoded = model.decode("zero_shot", model.vae.codebook[logits.argmax(-1)], Scope.CANVAS)
        image = (decoded * 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        rows, columns = geometry.cell_box(Quadrant.ANSWER)
        return float(mse(image[:, rows, columns], self.answer)[0])


def table(report: Report) -> str:
    """For people."""
    lines = [
        "  ".join(f"{key} {value}" for key, value in report.about.items()),
        f"{'':64}{'samples':>8} {'ms/sample':>10} {'/ baseline':>11}",
    ]
    lines += [f"{r.name:64}{r.samples:>8} {r.ms_per_sample:>10.2f} {r.ratio:>11.2f}" for r in report.rows]
    return "\n".join(lines)


def random_values(model: MaeVqgan) -> tuple[torch.Tensor, torch.Tensor]:
    """Standard normal values at every site of the zero-shot program."""
    draw = torch.Generator().manual_seed(0)
    shapes = site_shapes(model.config.mae, model.program("zero_shot"))
    return torch.randn(shapes["encoder"], generator=draw), torch.randn(shapes["decoder"], generator=draw)


def _about(device: torch.device) -> dict[str, Any]:
    gpu = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if gpu else torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "vtv": version("visual-task-vectors"),
        "commit": commit(),
        "torch": torch.__version__,
    }


def _episodes() -> Episodes:
    pictures = np.random.default_rng(0).integers(0, 256, (SCENES, 111, 111, 3), np.uint8)
    return make_episodes(Scenes(pictures, np.zeros((SCENES, 111, 111), np.uint8)), TASKS["colorization"], SCENES, 0)


def _model(asked: Namespace) -> MaeVqgan:
    if asked.architecture is None:
        return load_model(asked.model)[0]
    torch.manual_seed(0)
    return MaeVqgan(PUBLISHED[asked.architecture]).eval().requires_grad_(False)
