"""What workers are given to do, in a module that they can import."""

import os
import time
from pathlib import Path
from typing import NoReturn

from artifacts.errors import OfflineError
from engine.model import MaeVqgan


def squared(model: MaeVqgan, folder: Path, piece: int) -> int:
    """Writes a line for each start. The third piece ends its worker when it is first begun; each takes a while."""
    with (folder / str(piece)).open("a") as file:
        file.write(f"{os.getpid()} {id(model)}\n")
    if piece == 2 and len((folder / "2").read_text().splitlines()) == 1:
        os._exit(1)
    time.sleep(0.05)
    return piece**2


def refused(model: MaeVqgan, piece: int) -> int:
    """Goes wrong."""
    raise OfflineError(f"piece {piece} of {model.config.name} is bad")


def blind(*_: object) -> NoReturn:
    """As on a machine that sees nothing of what the driver does."""
    raise OfflineError("the pictures are not here")
