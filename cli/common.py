"""What `vtv` commands share. Imports wait: `vtv --help` must not load torch."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from artifacts.job import Job


class UsageError(Exception):
    """Words on the command line that do not go together."""


def job(a: Namespace, work: Path, fold: int | None = None) -> "Job":
    """Model, scenes and settings of an offline command; `fold` where it is not that of the command's words."""
    from artifacts.job import load_job
    from artifacts.search.options import search_settings

    fold = a.fold if fold is None else fold
    tensorboard = getattr(a, "tensorboard", None)
    return load_job(a.model, a.dataset, search_settings(a), work, device=a.device, fold=fold, tensorboard=tensorboard)
