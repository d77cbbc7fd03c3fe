"""The engines that `vtv bench engine` compares: a backend and a type each, and how long they take to start."""

import gc
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from artifacts.console import say
from benchmarks.engine_calls import Calls
from engine.errors import EngineError
from engine.program import Scope
from engine.runtime import Engine

USUAL = {
    "cpu": ("eager", "eager:bfloat16", "openvino:float32", "openvino"),
    "cuda": ("eager:float32", "eager", "inductor", "tensorrt", "torch_tensorrt"),
}
"""BACKEND or BACKEND:DTYPE. Inductor on the CPU has to be asked for: it compiles for minutes."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A loaded engine. `cold` and `warm` are seconds from nothing, and from a filled cache, to the first answer."""

    name: str
    engine: Engine
    calls: Calls
    cold: float
    warm: float


@dataclass(frozen=True, slots=True)
class Setting:
    """What all of them share."""

    model: Path
    device: str
    buckets: tuple[int, ...]
    slots: int
    scope: Scope


def load_subjects(names: Sequence[str], setting: Setting) -> tuple[list[Subject], list[str]]:
    """Those that work here, and a line "NAME: why not" for each other."""
    found: list[Subject] = []
    missing: list[str] = []
    for name in names:
        say(f"loading {name}, cold and warm")
        try:
            found.append(_load(name, setting))
        except EngineError as error:
            missing.append(f"{name}: {error}")
    return found, missing


def _load(name: str, setting: Setting) -> Subject:
    with tempfile.TemporaryDirectory() as cache:
        engine, cold = _start(name, setting, Path(cache))
        del engine
        gc.collect()  # the memory of one at a time
        engine, warm = _start(name, setting, Path(cache))
        calls = Calls(engine)
        label = f"{engine.backend}:{str(engine.dtype).removeprefix('torch.')}"
        return Subject(label, engine, calls, cold, warm)


def _start(name: str, setting: Setting, cache: Path) -> tuple[Engine, float]:
    backend, _, wanted = name.partition(":")
    dtype = getattr(torch, wanted, None) if wanted else None
    if wanted and not isinstance(dtype, torch.dtype):
        raise EngineError(f"{wanted} is not a type")
    started = time.perf_counter()
    engine = Engine.load(
        setting.model,
        slots=setting.slots,
        buckets=setting.buckets,
        backend=backend,
        device=setting.device,
        dtype=dtype,
        scope=setting.scope,
        cache=cache,
    )
    engine.warm_up()
    return engine, time.perf_counter() - started
