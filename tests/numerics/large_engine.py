"""Build an engine of the published ViT-L, of random weights, and say what it took: PROGRAM SCOPE BUCKETS.

For example `python -m tests.numerics.large_engine zero_shot answer 1,2,4`. One line of JSON, the last.
"""

import json
import resource
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import torch

from engine.cache import Key
from engine.checkpoint import empty_model
from engine.config import PUBLISHED
from engine.model import MaeVqgan
from engine.network import OneShot, ZeroShot, in_dtype
from engine.program import Scope
from tests.numerics.torch_tensorrt_here import torch_tensorrt_build

SLOTS = 64


def published_model() -> MaeVqgan:
    model = empty_model(PUBLISHED["large"])
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for values in model.parameters():
            values.normal_(0, 0.02, generator=generator)
    return in_dtype(model, torch.float16)


def main(program: str, scope: str, buckets: str) -> None:
    batch_sizes = tuple(int(size) for size in buckets.split(","))
    network = {"zero_shot": ZeroShot, "one_shot": OneShot}[program](published_model(), Scope(scope))
    key = Key("large", program, scope, "float16", SLOTS, batch_sizes, "torch_tensorrt", "0", "none")
    with TemporaryDirectory() as folder, torch_tensorrt_build(Path(folder)) as build:
        engine = build.build_engine(network, key, 0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    took = {"engine_bytes": len(engine), "peak_bytes": peak, "processor_seconds": round(process_time())}
    print(json.dumps({"program": program, "scope": scope, "buckets": batch_sizes} | took))


if __name__ == "__main__":
    main(*sys.argv[1:])
