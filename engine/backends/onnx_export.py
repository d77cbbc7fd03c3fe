"""A network as an ONNX file: the one graph that OpenVINO and TensorRT compile.

Batch and slots are dynamic in it, so that one file serves every bucket and every size of bank. An operator that
ONNX lacks fails the export by name: there are no fallback segments.
"""

import copy
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import torch

from engine.backends.protocol import BackendUnavailable
from engine.backends.quiet import quiet
from engine.errors import EngineError, first_cause
from engine.network import BATCH, SLOTS, Network, examples

OUTPUT: Final = "answers"
_ROWS, _SLOTS = 3, 4
"""Example sizes: any but 1, which the exporter takes for a constant."""


def export(network: Network, bank_dtype: torch.dtype, opset: int, path: Path) -> None:
    """Write an ONNX file of an opset from 18 on, its weights beside it. Raises EngineError that names what cannot be
    exported."""
    if missing := [name for name in ("onnx", "onnxscript") if find_spec(name) is None]:
        raise BackendUnavailable(f"to export the model {', '.join(missing)} must be there: pip install onnx onnxscript")
    # Always on the CPU: attention is written out there, and the graph is the one that tests without a GPU check.
    network = network if network.device.type == "cpu" else copy.deepcopy(network).cpu()
    with quiet("torch.onnx"), torch.no_grad():
        try:
            program = torch.onnx.export(
                network.eval(),
                examples(network, _ROWS, _SLOTS, bank_dtype, network.device),
                dynamo=True,
                opset_version=opset,
                verbose=False,
                input_names=list(network.inputs),
                output_names=[OUTPUT],
                dynamic_shapes=_dynamic(network, bank_dtype),
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise EngineError(f"{network.name} cannot be exported: {first_cause(error)}") from error
        assert program is not None
        program.save(path, external_data=True)


def _dynamic(network: Network, bank_dtype: torch.dtype) -> tuple[dict[int, Any], ...]:
    opened = {BATCH: torch.export.Dim("batch", min=1, max=4096), SLOTS: torch.export.Dim("slots", min=2, max=65536)}
    return tuple(
        {place: opened[size] for place, size in enumerate(spec.sizes) if isinstance(size, str)}
        for spec in network.specs(bank_dtype)
    )
