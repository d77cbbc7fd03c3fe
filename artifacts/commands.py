"""What each `vtv` command does. Imports wait: `vtv --help` must not load torch."""

import json
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from artifacts.build import Job
    from engine.model import MaeVqgan

Call = Callable[[], int]


class UsageError(Exception):
    """Words on the command line that do not go together."""


def say(line: str) -> None:
    """Progress goes to standard error, so that standard output holds results alone."""
    print(line, file=sys.stderr, flush=True)


def serve(a: Namespace) -> int:
    """`vtv serve`."""
    from service.server import serve as run

    return run(a.model, a.store, a.backend, a.host, a.port)


def infer(a: Namespace) -> int:
    """`vtv infer`: the same steps as the service, in this process."""
    from artifacts.infer import infer_file

    infer_file(a.model, a.store, a.image, a.task, a.output, size=a.size, refine_mode=a.refine)
    return 0


def tasks(a: Namespace) -> int:
    """`vtv tasks` and `vtv tasks show NAME`."""
    from artifacts.store import Store

    store = Store(a.store)
    if a.show and (a.show[0] != "show" or len(a.show) != 2):
        raise UsageError("use `vtv tasks` or `vtv tasks show NAME`")
    names = [a.show[1]] if a.show else store.names()
    found = {name: store.read(name) for name in names}
    entries = [{"task": name, "artifact": f.hash, "sites": f.vector.sites, **f.metadata} for name, f in found.items()]
    if a.json:
        print(json.dumps(entries[0] if a.show else {"tasks": entries}))
        return 0
    for entry in entries:
        if a.show:
            print("\n".join(f"{key}: {value}" for key, value in entry.items()))
        else:
            print(f"{entry['task']:24} {str(entry['artifact'])[:12]}  {entry['metric']}")
    return 0


def frozen_model(path: Path) -> "tuple[MaeVqgan, str]":
    """A model and its fingerprint, on the GPU where there is one."""
    import torch

    from engine.checkpoint import load_model

    torch.set_flush_denormal(True)
    model, fingerprint = load_model(path)
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), fingerprint


def job(a: Namespace, work: Path) -> "Job":
    """Model, scenes and settings of an offline command."""
    from artifacts.build import Job
    from artifacts.datasets import splits
    from artifacts.search.best import method_settings

    model, fingerprint = frozen_model(a.model)
    options = {name: getattr(a, name, None) for name in ("granularity", "steps", "seed", "objective", "prune")}
    settings = method_settings(getattr(a, "method", "reinforce"), **options)
    scenes = splits(a.dataset, model.geometry, a.fold)
    name = a.dataset if a.fold is None else f"{a.dataset}, fold {a.fold}"
    return Job(model, fingerprint, scenes, name, work, settings, say)


def collect(a: Namespace) -> int:
    """`vtv collect`."""
    from artifacts.build import CANDIDATE_PROMPTS, KEPT_PROMPTS
    from artifacts.collect import collect as run
    from artifacts.collect import save_means
    from artifacts.datasets import find_task
    from artifacts.episodes import make_episodes

    task, the = find_task(a.task, a.dataset), job(a, Path())
    episodes = make_episodes(the.scenes["search"], task, CANDIDATE_PROMPTS, a.seed + 1)
    means = run(the.model, the.fingerprint, task, episodes, KEPT_PROMPTS)
    save_means(a.output, means)
    say(f"{task.name}: means over the best {means.prompts} of {len(episodes)} prompts in {a.output}")
    return 0


def search(a: Namespace) -> int:
    """`vtv search`."""
    from artifacts.artifact import save_artifact
    from artifacts.build import build_vector, describe, validation_metric, zero_shot_values
    from artifacts.collect import load_means
    from artifacts.datasets import find_task

    task, the = find_task(a.task, a.dataset), job(a, Path())
    means = load_means(a.means, the.fingerprint)
    if means.task != task.name:
        raise UsageError(f"{a.means} holds means of {means.task}, not of {task.name}")
    vector = build_vector(the, task, zero_shot_values(the.model, means))
    save_artifact(a.output, vector, describe(the, task, means.prompts, validation_metric(the, task, vector)))
    say(f"{task.name}: {vector.sites} sites written in {a.output}")
    return 0


def build(a: Namespace) -> int:
    """`vtv build`."""
    from artifacts.build import build_controls, build_task
    from artifacts.datasets import dataset_path, find_task
    from artifacts.pairs import is_pairs
    from artifacts.tasks import TASKS

    if is_pairs(dataset_path(a.dataset)) and (not a.task or a.controls):
        raise UsageError("a folder of pairs holds one task: name it with --task, without --controls")
    chosen = [find_task(name, a.dataset) for name in a.task or list(TASKS)]
    the = job(a, a.work)
    for task in chosen:
        build_task(the, task, a.store)
    if a.controls:
        build_controls(the, chosen)
    return 0


def publish(a: Namespace) -> int:
    """`vtv publish`."""
    from artifacts.store import Store
    from engine.checkpoint import read_description

    artifact = Store(a.store).publish(a.vector, read_description(a.model)[1])
    print(f"{artifact.task} {artifact.hash}")
    return 0


def teach(a: Namespace) -> int:
    """`vtv teach`."""
    from artifacts.pairs import load_pairs
    from artifacts.teach import publish, refusal
    from artifacts.teach import teach as run

    model, fingerprint = frozen_model(a.model)
    taught = run(model, fingerprint, a.name, load_pairs(a.examples, model.geometry.cell), say, a.seed, a.steps)
    entry = {"task": a.name, "artifact": None, "metric": json.loads(taught.metadata["metric"])}
    if taught.better or a.force:
        entry["artifact"] = publish(taught, a.store).hash
    else:
        say(refusal(taught))
    if a.json:
        print(json.dumps(entry))
    elif entry["artifact"]:
        print(f"{a.name} {entry['artifact']}")
    return 0 if entry["artifact"] else 1


def compose(a: Namespace) -> int:
    """`vtv compose`."""
    from artifacts.artifact import save_artifact
    from artifacts.compose import compose as run
    from artifacts.store import Store

    store = Store(a.store)
    vector, metadata = run(store.read(a.first), store.read(a.second))
    save_artifact(a.output, vector, metadata)
    say(f"{metadata['task']}: {vector.sites} sites in {a.output}")
    return 0


def evaluate(a: Namespace) -> int:
    """`vtv evaluate`."""
    from artifacts.evaluation.command import evaluate as run

    return run(a, job(a, Path()), say)


def data(a: Namespace) -> int:
    """`vtv data demo`."""
    from artifacts.demo import make_demo

    make_demo(a.root, a.output, size=a.size, train=a.train, val=a.val, seed=a.seed, workers=a.workers)
    return 0


def train(a: Namespace) -> int:
    """`vtv train tokenizer|decoder|mae`."""
    from artifacts.training.mae import MaeRun, train_mae
    from artifacts.training.tokenizer import TokenizerRun, train_tokenizer
    from engine.config import TRAINABLE

    config = TRAINABLE[a.size]
    if a.what == "mae":
        tokenizer = a.output / "tokenizer.pt"
        train_mae(MaeRun(a.dataset, tokenizer, a.output, config.name, config.mae, a.minutes, a.batch, seed=a.seed))
    else:
        frozen = a.what == "decoder"
        train_tokenizer(
            TokenizerRun(a.dataset, a.output, config.vqgan, a.minutes, a.batch, seed=a.seed, decoder_only=frozen)
        )
    return 0


def export(a: Namespace) -> int:
    """`vtv export`."""
    from artifacts.training.export import export as run

    say(f"model {run(a.folder, a.output)} in {a.output}")
    return 0


def import_checkpoint(a: Namespace) -> int:
    """`vtv import-checkpoint`."""
    from artifacts.import_checkpoint import import_checkpoint as run

    mark = run(a.mae, a.vqgan, a.vqgan_config, a.output, heads=a.heads, decoder_heads=a.decoder_heads)
    say(f"model {mark} in {a.output}")
    return 0


def import_upstream(a: Namespace) -> int:
    """`vtv import-upstream`."""
    from artifacts.artifact import check_name, save_artifact
    from artifacts.upstream import describe_upstream
    from artifacts.upstream import import_upstream as run
    from engine.checkpoint import load_model

    check_name(a.task)
    model, fingerprint = load_model(a.model)
    found = run(model, fingerprint, a.task, a.means, a.bernoullis)
    save_artifact(a.output, found.vector, describe_upstream(a.task, found))
    say(f"{a.task}: {found.vector.sites} sites over {found.prompts} prompts, residual {found.residual:.2g}")
    return 0


def parity(a: Namespace) -> int:
    """`vtv parity`."""
    from artifacts.parity import main as run

    return run(a.directory, sizes=a.size, as_json=a.json)


def compile_engine(a: Namespace) -> int:
    """`vtv compile`: what `vtv serve` would compile when it starts, with the same settings."""
    import torch

    from engine.runtime import Engine

    device = a.device or ("cuda" if torch.cuda.is_available() else "cpu")
    engine = Engine.load(
        a.model, slots=a.slots, buckets=a.buckets, backend=a.backend, device=device, cache=a.output
    )
    engine.warm_up()
    for line in engine.fallbacks:
        say(f"passed over: {line}")
    size = sum(path.stat().st_size for path in a.output.rglob("*") if path.is_file()) if a.output.is_dir() else 0
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
    print(json.dumps(entry) if a.json else f"{words} in {a.output}")
    return 0


def bench(what: str, words: list[str]) -> int:
    """`vtv bench load|engine`."""
    if what == "load":
        from benchmarks import load

        return load.main(words)
    from benchmarks import engine

    return engine.main(words)
