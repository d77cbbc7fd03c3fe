"""A simulated accelerator: a batch takes a fixed time and a time per image, one batch at a time, no processor.

It measures servers at the speed of a GPU on machines that have none. Whoever opens the same lock file shares
the accelerator, as processes share a GPU.
"""

import fcntl
import os
import threading
import time
from pathlib import Path
from typing import Final

FIXED_SECONDS: Final = 0.004
IMAGE_SECONDS: Final = 0.00025
MAX_BATCH: Final = 32


class Accelerator:
    """Computes nothing, one batch after the other; safe to call from any thread of any process.

    It takes `slower` times as long as others do.
    """

    def __init__(self, lock_file: Path, slower: float = 1.0) -> None:
        self._slower = slower
        self._descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT)
        self._threads = threading.Lock()

    def compute(self, images: int) -> None:
        """Occupy the accelerator for a batch of `images`. Raises ValueError beyond MAX_BATCH."""
        if not 1 <= images <= MAX_BATCH:
            raise ValueError(f"a batch has 1 to {MAX_BATCH} images, not {images}")
        with self._threads:  # the file's lock is between processes
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                time.sleep(self._slower * (FIXED_SECONDS + IMAGE_SECONDS * images))
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)


def images_per_second() -> float:
    """What the accelerator does at its largest batch."""
    return MAX_BATCH / (FIXED_SECONDS + IMAGE_SECONDS * MAX_BATCH)
