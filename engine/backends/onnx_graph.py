"""A network as an ONNX file: the one graph that OpenVINO and TensorRT compile.

Batch and slots are dynamic in it, so that one file serves every bucket and every size of bank. An operator that
ONNX lacks fails the export by name: there are no fallback segments.
"""

import copy
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeVar

import torch

from engine.backends.protocol import BackendUnavailable
from engine.bank import Bank
from engine.cache import EngineCache, Key
from engine.errors import EngineError
from engine.network import Network, OneShot, buffers

FILE: Final = "network.onnx"
OUTPUT: Final = "answers"
T = TypeVar("T")
_ROWS, _SLOTS = 3, 4
"""Example sizes: any but 1, which the exporter takes for a constant."""


def load_onnx(network: Network, bank_dtype: torch.dtype, key: Key, cache: EngineCache, load: Callable[[Path], T]) -> T:
    """`load` the file that holds `network` with a bank of `bank_dtype`; exported first where it is not cached."""
    weights = network.model.vae.codebook.dtype
    own = replace(key, backend=f"onnx {weights}", version=torch.__version__, device="any", slots=0, buckets=())

    def build(folder: Path) -> None:
        export(network, bank_dtype, folder / FILE)

    return cache.load(own, build, lambda folder: load(folder / FILE))


def export(network: Network, bank_dtype: torch.dtype, path: Path) -> None:
    """Write an ONNX file, its weights beside it. Raises EngineError that names what cannot be exported."""
    if missing := [name for name in ("onnx", "onnxscript") if find_spec(name) is None]:
        raise BackendUnavailable(f"to export the model {', '.join(missing)} must be there: pip install onnx onnxscript")
    # Always on the CPU: attention is written out there, and the graph is the one that tests without a GPU check.
    network = network if network.model.mean.device.type == "cpu" else copy.deepcopy(network).cpu()
    bank = Bank(network.model.config.mae, network.model.program("zero_shot"), _SLOTS, torch.device("cpu"), bank_dtype)
    example = buffers(network, _ROWS, bank.tensors(), torch.device("cpu"))
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                network.eval(),
                example.inputs,
                dynamo=True,
                verbose=False,
                input_names=list(network.inputs),
                output_names=[OUTPUT],
                dynamic_shapes=_dynamic(network),
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise EngineError(f"{network.name} cannot be exported: {_reason(error)}") from error
        assert program is not None
        program.save(path, external_data=True)


def _dynamic(network: Network) -> tuple[dict[int, Any], ...]:
    rows = {0: torch.export.Dim("batch", min=1, max=4096)}
    if isinstance(network, OneShot):
        return (rows,)
    slots = torch.export.Dim("slots", min=2, max=65536)
    return (rows, rows, *({1: slots} for _ in range(4)), {0: slots})


def _reason(error: BaseException) -> str:
    """The innermost cause's first line: that is where the operator is named."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().splitlines()[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of its own internals and of packages that vision models may need."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
