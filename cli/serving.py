"""`vtv serve`, `infer`, `tasks` and `compile`."""

import json
from argparse import Namespace
from pathlib import Path

from artifacts.console import say
from cli.common import UsageError


def serve(a: Namespace) -> int:
    """`vtv serve`."""
    from service.server import serve as run

    return run(a.model, a.store, a.backend, a.host, a.port)


def infer(a: Namespace) -> int:
    """`vtv infer`: the same steps as the service, in this process."""
    from artifacts.infer import Wanted, infer_file

    wanted = Wanted(a.size, a.refine, a.mask, a.threshold)
    infer_file(a.model, a.store, a.image, a.task, a.output, wanted)
    return 0


def tasks(a: Namespace) -> int:
    """`vtv tasks` and `vtv tasks show NAME`."""
    from artifacts.store import show
    from artifacts.store.folder import Store

    store = Store(a.store)
    if a.show and (a.show[0] != "show" or len(a.show) != 2):
        raise UsageError("use `vtv tasks` or `vtv tasks show NAME`")
    if a.html and not a.show:
        raise UsageError("--html goes with `vtv tasks show NAME`")
    if a.show:
        artifact = store.read(a.show[1])
        if a.html:
            show.write_artifact_page(a.html, artifact)
        print(json.dumps(show.as_json(artifact)) if a.json else show.as_text(artifact))
        return 0
    found = {name: store.read(name) for name in store.names()}
    entries = [{"task": name, "artifact": f.hash, "sites": f.vector.sites, **f.metadata} for name, f in found.items()]
    if a.json:
        print(json.dumps({"tasks": entries}))
        return 0
    for entry in entries:
        print(f"{entry['task']:24} {str(entry['artifact'])[:12]}  {entry['metric']}")
    return 0


def compile_engine(a: Namespace) -> int:
    """`vtv compile`: what `vtv serve` would compile when it starts, with the same settings."""
    from engine.cache import default_root
    from engine.device import best_device
    from engine.runtime import Engine

    device = a.device or best_device()
    cache: Path = a.output or default_root()
    engine = Engine.load(a.model, slots=a.slots, buckets=a.buckets, backend=a.backend, device=device, cache=cache)
    engine.warm_up()
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
