"""Building an engine with torch-tensorrt. Loading this module loads that package, which takes seconds."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch

from engine.backends.protocol import BackendUnavailable
from engine.backends.quiet import quiet
from engine.backends.tensorrt_build import WORKSPACE_BYTES, add_profiles, require_user_allocation
from engine.backends.tensorrt_runtime import load_tensorrt
from engine.cache import Key
from engine.errors import EngineError, first_cause
from engine.network import BATCH, Network, TensorSpec, examples
from engine.operators import native_operators

_ROWS: Final = 3
"""Of the example batch: any number but 1, which an export takes for a constant."""


try:
    with quiet("torch_tensorrt"):
        import torch_tensorrt
        from torch_tensorrt.dynamo import convert_exported_program_to_serialized_trt_engine
        from torch_tensorrt.dynamo.conversion import _conversion
        from torch_tensorrt.dynamo.conversion._TRTInterpreter import TRTInterpreter, TRTInterpreterResult
except Exception as _error:  # it raises plain Exceptions where a library is missing
    raise BackendUnavailable(f"torch-tensorrt cannot be loaded: {_error}") from _error


def build_engine(network: Network, key: Key, gpu: int) -> bytes:
    """All of a network as one serialized engine whose weights and operators are in the network's type.

    Raises EngineError that names what cannot be converted.
    """
    whole = _on_cpu(network.with_output(torch.float32))  # casts to uint8 are not converted: the launch does it
    specs, dtype = whole.specs(getattr(torch, key.dtype)), whole.dtype
    with quiet("torch_tensorrt"), _building(key):
        try:
            return bytes(
                convert_exported_program_to_serialized_trt_engine(
                    export(whole, key),
                    arg_inputs=[_input(spec, key) for spec in specs],
                    device=torch_tensorrt.Device(gpu_id=gpu),
                    require_full_compilation=True,
                    min_block_size=1,
                    workspace_size=WORKSPACE_BYTES,
                    disable_tf32=dtype == torch.float32,
                    offload_module_to_cpu=True,  # where it is: the device's memory is the engine's
                )
            )
        except Exception as error:
            raise EngineError(f"torch-tensorrt cannot build {network.name}: {first_cause(error)}") from error


def export(network: Network, key: Key) -> torch.export.ExportedProgram:
    """A network on the CPU, traced with an open batch and the bank as it is, attention as one operator."""
    specs = network.specs(getattr(torch, key.dtype))
    rows = torch.export.Dim("batch", min=1, max=max(key.buckets[-1], _ROWS))
    opened = tuple({0: rows} if spec.sizes[0] == BATCH else None for spec in specs)
    given = examples(network, _ROWS, key.slots, getattr(torch, key.dtype), torch.device("cpu"))
    with torch.no_grad(), native_operators():
        return torch.export.export(network.eval(), given, dynamic_shapes=opened)


def _on_cpu(network: Network) -> Network:
    return network if network.device.type == "cpu" else copy.deepcopy(network).cpu()


def _input(spec: TensorSpec, key: Key) -> Any:
    """All buckets in one range, for the converters: the engine's own profiles take its place."""
    least, most = (spec.shape(bucket, key.slots) for bucket in (1, max(key.buckets[-1], _ROWS)))
    if least == most:
        return torch_tensorrt.Input(shape=most, dtype=spec.dtype)
    return torch_tensorrt.Input(min_shape=least, opt_shape=most, max_shape=most, dtype=spec.dtype)


class _Serialized:
    """An engine as it came from the builder."""

    def __init__(self, blob: Any) -> None:
        self._blob = blob

    def serialize(self) -> Any:
        return self._blob


class _Interpreter(TRTInterpreter):  # type: ignore[misc]
    """Builds with a profile for each bucket, where the package's own fills one only.

    It also leaves the engine as it is serialized; the package's own loads it on the device to serialize it again.
    """

    key: Key

    def run(self, *_: Any, **__: Any) -> TRTInterpreterResult:
        if missing := self.validate_conversion():
            raise EngineError(f"torch-tensorrt does not convert {', '.join(sorted(missing))}")
        self._construct_trt_network_def()
        check_whole(self.ctx, self._input_names)
        self.optimization_profiles = None
        config = self._populate_trt_builder_config()
        require_user_allocation(load_tensorrt(("tensorrt",))[0], config)
        add_profiles(self.builder, config, self.ctx.net, self.key)
        blob = self.builder.build_serialized_network(self.ctx.net, config)
        self.ctx.clear_cpu_weights_reference_holder()
        if blob is None:
            raise EngineError(f"TensorRT builds no engine of {self.key.program} in {self.key.dtype}")
        return TRTInterpreterResult(_Serialized(blob), self._input_names, self._output_names, False, False)


def check_whole(context: Any, inputs: list[str]) -> None:
    """Raises EngineError where a network would allocate while it runs, or lost an input to a constant."""
    if context.requires_output_allocator:
        raise EngineError("torch-tensorrt made a network whose output has no fixed shape")
    found = [context.net.get_input(index).name for index in range(context.net.num_inputs)]
    if found != inputs:
        raise EngineError(f"torch-tensorrt made a network of the inputs {found}, not {inputs}")


@contextmanager
def _building(key: Key) -> Iterator[None]:
    """Let the package's conversion use the interpreter above."""
    own = _conversion.TRTInterpreter
    _conversion.TRTInterpreter = type("Interpreter", (_Interpreter,), {"key": key})
    try:
        yield
    finally:
        _conversion.TRTInterpreter = own
