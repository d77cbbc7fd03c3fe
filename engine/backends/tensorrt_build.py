"""Building a TensorRT engine of a network's ONNX file. Needs no GPU with TensorRT-RTX."""

from pathlib import Path
from typing import Any, Final

from engine.cache import Key
from engine.errors import EngineError

WORKSPACE_BYTES: Final = 4 << 30


def build_engine(trt: Any, logger: Any, onnx: Path, key: Key) -> Any:
    """Serialized engine with a profile for each bucket; types are those of the graph.

    Raises EngineError that names the node that TensorRT cannot take.
    """
    builder = trt.Builder(logger)
    network = parse(trt, builder, logger, onnx)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    require_user_allocation(trt, config)
    add_profiles(builder, config, network, key)
    blob = builder.build_serialized_network(network, config)
    if blob is None:
        raise EngineError(f"TensorRT builds no engine of {key.program} in {key.dtype}; its log above says why")
    return blob


def parse(trt: Any, builder: Any, logger: Any, onnx: Path) -> Any:
    """The file as a strongly typed TensorRT network: all of it, or EngineError naming the node."""
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(onnx)):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        named = "; ".join(f"{error.node_operator()} ({error.node_name()}): {error.desc()}" for error in errors)
        raise EngineError(f"TensorRT cannot take {named}")
    return network


def add_profiles(builder: Any, config: Any, network: Any, key: Key) -> None:
    """For each bucket one whose shapes are all fixed: kernels are chosen for exactly these."""
    for bucket in key.buckets:
        profile = builder.create_optimization_profile()
        for index in range(network.num_inputs):
            tensor = network.get_input(index)
            rows = bucket if tensor.name in ("pixels", "slot") else key.slots
            shape = tuple(rows if size < 0 else size for size in tensor.shape)
            profile.set_shape(tensor.name, shape, shape, shape)
        config.add_optimization_profile(profile)


def require_user_allocation(trt: Any, config: Any) -> None:
    """RTX: without it a run may allocate, which no graph can hold."""
    if hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
