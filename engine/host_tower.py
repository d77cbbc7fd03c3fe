"""A tower compiled for a CPU, served or offline: the one place that says in what it computes.

OpenVINO gives a picture the same feature, to the last bit, in a batch of any size and on any number of threads. So what
a server tells in bfloat16 is what offline commands compute in bfloat16.
"""

import logging
from typing import Final

import torch

from engine.backends.protocol import Backend
from engine.cache import EngineCache, Key
from engine.classification import Precision
from engine.classification.head import unit
from engine.device import describe, exact_float32
from engine.host_runner import HostRunner
from engine.quick_tower import LARGEST_ERROR, QuickFeatures
from engine.runner import Progress
from engine.tolerance import check_picture
from engine.tower_network import TowerFeatures
from engine.towers.tower import Tower

log: Final = logging.getLogger("vtv.engine")
_CPU: Final = torch.device("cpu")


def exact_runner(
    tower: Tower, backend: Backend, buckets: tuple[int, ...], cache: EngineCache, progress: Progress
) -> HostRunner:
    """In float32."""
    return _runner(TowerFeatures(tower), "float32", backend, buckets, cache, progress)


def quick_runner(
    tower: Tower, backend: Backend, buckets: tuple[int, ...], cache: EngineCache, progress: Progress
) -> HostRunner | None:
    """In bfloat16; None where the backend does not compute in it, or features are too far from float32 eager's, as
    those of random weights are."""
    if backend.dtype != torch.bfloat16:
        return None
    runner = _runner(QuickFeatures(tower), "bfloat16", backend, buckets, cache, progress)
    picture = check_picture(tower.size)[None]
    with exact_float32(), torch.inference_mode():
        wanted = unit(TowerFeatures(tower)(torch.from_numpy(picture)))
    error = float((unit(torch.from_numpy(runner.submit(picture, ()).result())) - wanted).norm())
    if error <= LARGEST_ERROR:
        return runner
    log.info("the image tower computes in float32: in bfloat16 its features are %.2f off", error)
    return None


def _runner(
    network: TowerFeatures,
    dtype: Precision,
    backend: Backend,
    buckets: tuple[int, ...],
    cache: EngineCache,
    progress: Progress,
) -> HostRunner:
    progress(f"building {network.name} with {backend.name}")
    key = Key(
        network.tower.fingerprint,
        network.name,
        f"{network.row[0]} columns",
        dtype,
        0,
        buckets,
        backend.name,
        backend.version,
        describe(_CPU),
    )
    compiled = backend.compile(network.eval(), buckets, key, cache)
    return HostRunner(network, compiled, buckets, bank=(), progress=progress)
