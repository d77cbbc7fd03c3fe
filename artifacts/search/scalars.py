"""A search's numbers by step, for TensorBoard (an optional package)."""

from pathlib import Path
from typing import TYPE_CHECKING

from artifacts.errors import OfflineError
from artifacts.workers import lead

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Scalars:
    """Writes below `folder`; without one, nowhere. `done` steps were written by an earlier run."""

    def __init__(self, folder: Path | None, done: int) -> None:
        self.writer = _writer(folder, done) if folder is not None and lead() else None

    def write(self, step: int, **values: float) -> None:
        """Numbers of one step, by name."""
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(f"search/{name}", value, step)

    def close(self) -> None:
        """Flush."""
        if self.writer is not None:
            self.writer.close()


def _writer(folder: Path, done: int) -> "SummaryWriter":
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise OfflineError("--tensorboard needs the package tensorboard: pip install tensorboard") from None
    return SummaryWriter(folder, purge_step=done + 1)
