"""What `vtv` commands share. Imports wait: `vtv --help` must not load torch."""

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from artifacts.build import Job
    from engine.model import MaeVqgan


class UsageError(Exception):
    """Words on the command line that do not go together."""


def say(line: str) -> None:
    """Progress goes to standard error, so that standard output holds results alone."""
    print(line, file=sys.stderr, flush=True)


def _keep_quiet(_: str) -> None:
    """Where another process tells the same."""


def frozen_model(path: Path, device: str | None = None) -> "tuple[MaeVqgan, str]":
    """A model and its fingerprint, on a device; where none is named on the GPU if there is one."""
    import torch

    from engine.checkpoint import load_model
    from engine.device import best_device

    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: no CUDA device is found here")
    torch.set_flush_denormal(True)
    model, fingerprint = load_model(path)
    return model.to(device or best_device()), fingerprint


def job(a: Namespace, work: Path, fold: int | None = None) -> "Job":
    """Model, scenes and settings of an offline command; `fold` where it is not that of the command's words."""
    from artifacts.build import Job
    from artifacts.data.datasets import splits
    from artifacts.search.options import search_settings
    from artifacts.workers import lead

    settings = search_settings(a)
    model, fingerprint = frozen_model(a.model, a.device)
    tell = say if lead() else _keep_quiet
    fold = a.fold if fold is None else fold
    scenes = splits(a.dataset, model.geometry, fold)
    name = a.dataset if fold is None else f"{a.dataset}, fold {fold}"
    return Job(model, fingerprint, scenes, name, work, settings, tell, getattr(a, "tensorboard", None))
