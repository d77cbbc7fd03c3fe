"""What a server tells of pictures, to be held against what the task tells offline."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray

from artifacts.errors import OfflineError
from artifacts.progress import Progress, Steps

AT_ONCE = 4
"""Requests, so that batches form."""
_PATIENCE = 60.0


def served_classes(url: str, task: str, files: Sequence[Path], progress: Progress) -> list[str]:
    """The likeliest class of each picture file, asked for at `POST /infer`; raises OfflineError."""
    steps = Steps("server", len(files), 0, progress)
    with httpx.Client(base_url=url, timeout=_PATIENCE, trust_env=False) as client, ThreadPoolExecutor(AT_ONCE) as crowd:

        def ask(file: Path) -> str:
            label = _ask(client, task, file)
            steps.update("pictures")
            return label

        try:
            found = list(crowd.map(ask, files))
        except httpx.HTTPError as error:
            raise OfflineError(f"{url} does not answer: {error}") from None
    steps.close()
    return found


def _ask(client: httpx.Client, task: str, file: Path) -> str:
    reply = client.post("/infer", data={"task": task, "top_k": "1"}, files={"image": file.read_bytes()})
    if reply.status_code != httpx.codes.OK:
        raise OfflineError(f"{client.base_url} refuses {file}: {reply.json().get('detail', reply.status_code)}")
    label: str = reply.json()["outputs"][0]["classes"][0]["label"]
    return label


def differing(served: Sequence[str], offline: Sequence[str]) -> NDArray[np.intp]:
    """The rows where they differ."""
    return np.flatnonzero(np.array(served) != np.array(offline))
