"""Model, data and search settings of an offline command. Imports wait: `vtv --help` must not load torch."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from cli.search_options import search_settings

if TYPE_CHECKING:
    from artifacts.job import Job


def job(a: Namespace, work: Path, fold: int | None = None) -> "Job":
    """What a command's words name; `fold` where it is not theirs. Raises UsageError before anything is loaded."""
    settings = search_settings(a)

    from artifacts.job import load_job

    fold = a.fold if fold is None else fold
    tensorboard = getattr(a, "tensorboard", None)
    ray = getattr(a, "ray", None)
    return load_job(a.model, a.dataset, settings, work, device=a.device, fold=fold, tensorboard=tensorboard, ray=ray)
