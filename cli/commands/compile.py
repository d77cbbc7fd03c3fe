"""`vtv compile`."""

import json
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from artifacts.console import say
from cli import options, values
from cli.parser import Commands
from cli.taskres_options import BUNDLED_TOWER, add_precision

if TYPE_CHECKING:
    from engine.tower_plan import TowerPlan

ABOUT = """\
The first start then takes seconds. Compiled engines are found by everything that shaped them: serve with the same
model, tower, backend, slots and batch sizes."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "compile",
        "compile ahead what `vtv serve` would compile when it starts",
        about=ABOUT,
        examples=["vtv compile", "vtv compile --backend openvino --buckets 1,8,32 -o engines"],
        run=run,
    )
    options.add_model(parser)
    options.add_backend(parser)
    options.add_device(parser)
    parser.add_argument("--slots", type=values.whole(2), default=64, metavar="N", help="rows of the bank, as VTV_SLOTS")
    parser.add_argument(
        "--buckets",
        type=values.counts,
        metavar="N,N,...",
        help="batch sizes, as VTV_BUCKETS (default: the engine's own)",
    )
    parser.add_argument(
        "--tower",
        type=values.folder_or("none"),
        default=BUNDLED_TOWER,
        metavar="DIR",
        help="image tower of classification tasks, or none (default: bundled)",
    )
    add_precision(parser)
    options.add_output(
        parser, "serve from it with VTV_CACHE (default: ~/.cache/vtv/engines)", folder=True, required=False
    )
    options.add_json(parser)


def run(a: Namespace) -> int:
    """Compile, check, and say what was made."""
    from engine.cache import default_root
    from engine.device import best_device
    from engine.runtime import Engine

    device = a.device or best_device()
    cache: Path = a.output or default_root()
    say("compiling: up to minutes the first time, seconds where the cache holds it")
    engine = Engine.load(a.model, slots=a.slots, buckets=a.buckets, backend=a.backend, device=device, cache=cache)
    engine.warm_up()
    if a.tower != "none":
        _plan(a, device, cache).build(say).warm_up()
    for line in engine.fallbacks:
        say(f"passed over: {line}")
    size = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) if cache.is_dir() else 0
    entry = {
        "model": engine.fingerprint,
        "backend": engine.backend,
        "dtype": str(engine.dtype).removeprefix("torch."),
        "device": device,
        "buckets": engine.buckets,
        "fallbacks": engine.fallbacks,
        "bytes": size,
    }
    words = f"{engine.backend} in {entry['dtype']} on {device}, buckets {list(engine.buckets)}: {size / 1e6:.0f} MB"
    print(json.dumps(entry) if a.json else f"{words} in {cache}")
    return 0


def _plan(a: Namespace, device: str, cache: Path) -> "TowerPlan":
    from engine.tower_plan import TowerPlan

    return TowerPlan(a.tower, slots=a.slots, backend=a.backend, precision=a.precision, device=device, cache=cache)
