"""The ONNX graph of a network from the cache, exported first where it is not there."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import torch

from engine.backends.onnx_process import export_apart
from engine.cache import EngineCache, Key
from engine.network import Network

FILE: Final = "network.onnx"
T = TypeVar("T")


def load_onnx(
    network: Network, bank_dtype: torch.dtype, opset: int, key: Key, cache: EngineCache, load: Callable[[Path], T]
) -> T:
    """`load` the file that holds `network` with a bank of `bank_dtype`; exported first where it is not cached."""
    name = f"onnx {opset} {network.dtype}"
    own = replace(key, backend=name, version=torch.__version__, device="any", slots=0, buckets=())

    def build(folder: Path) -> None:
        export_apart(network, bank_dtype, opset, folder / FILE)

    return cache.load(own, build, lambda folder: load(folder / FILE))
