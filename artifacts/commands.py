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
    from engine.task_vector import TaskVector

Call = Callable[[], int]


class UsageError(Exception):
    """Words on the command line that do not go together."""


def say(line: str) -> None:
    """Progress goes to standard error, so that standard output holds results alone."""
    print(line, file=sys.stderr, flush=True)


def _keep_quiet(_: str) -> None:
    """Where another process tells the same."""


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
    from artifacts import show
    from artifacts.store import Store

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


def frozen_model(path: Path, device: str | None = None) -> "tuple[MaeVqgan, str]":
    """A model and its fingerprint, on a device; where none is named on the GPU if there is one."""
    import torch

    from engine.checkpoint import load_model

    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: no CUDA device is found here")
    torch.set_flush_denormal(True)
    model, fingerprint = load_model(path)
    return model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")), fingerprint


def job(a: Namespace, work: Path, fold: int | None = None) -> "Job":
    """Model, scenes and settings of an offline command; `fold` where it is not that of the command's words."""
    from artifacts.build import Job
    from artifacts.datasets import splits
    from artifacts.search.options import search_settings
    from artifacts.workers import lead

    settings = search_settings(a)
    model, fingerprint = frozen_model(a.model, a.device)
    tell = say if lead() else _keep_quiet
    fold = a.fold if fold is None else fold
    scenes = splits(a.dataset, model.geometry, fold)
    name = a.dataset if fold is None else f"{a.dataset}, fold {fold}"
    return Job(model, fingerprint, scenes, name, work, settings, tell, getattr(a, "tensorboard", None))


def collect(a: Namespace) -> int:
    """`vtv collect`."""
    from artifacts.build import collect_means
    from artifacts.datasets import find_task
    from artifacts.workers import joined

    with joined():
        collect_means(job(a, Path()), find_task(a.task, a.dataset), a.output, a.select)
    return 0


def taskness(a: Namespace) -> int:
    """`vtv taskness`."""
    from artifacts.means import load_means
    from artifacts.taskness import write_taskness

    report = write_taskness(a.output, [load_means(path)[0] for path in a.means])
    say(f"taskness.json and taskness.png in {a.output}")
    if a.json:
        print(json.dumps(report))
    return 0


def search(a: Namespace) -> int:
    """`vtv search`."""
    from artifacts.workers import joined

    with joined():
        return _search(a)


def _search(a: Namespace) -> int:
    from artifacts.build import fits, save_found, search_places, with_settings, zero_shot_values
    from artifacts.datasets import find_task
    from artifacts.means import load_means
    from artifacts.resume import beside
    from artifacts.workers import by_lead

    if len(a.means) != len(a.task):
        raise UsageError("every --task needs its --means, in the same order")
    the, wanted, prompts = job(a, Path()), [], []
    for name, path in zip(a.task, a.means, strict=True):
        task, (means, how) = find_task(name, a.dataset), load_means(path, the.fingerprint)
        if means.task != task.name:
            raise UsageError(f"{path} holds means of {means.task}, not of {task.name}")
        if not fits(the, task, means):
            raise UsageError(f"{path} was collected from {how.source}, this is {the.source}: collect again")
        wanted.append((task, zero_shot_values(the.model, means)))
        prompts.append(means.prompts)
    alone = len(wanted) == 1
    paths = [a.output if alone else a.output / f"{task.name}.vector.safetensors" for task, _ in wanted]
    found = search_places(the, wanted, beside(a.output))
    for (task, _), count, place, path in zip(wanted, prompts, found, paths, strict=True):
        save_found(the, task, count, with_settings(the, task, place), path)
        the.progress(f"{task.name}: {place.vector.sites} sites written in {path}")
    by_lead(lambda: beside(a.output).unlink(missing_ok=True))
    return 0


def build(a: Namespace) -> int:
    """`vtv build`."""
    from artifacts.build import build_controls, build_task
    from artifacts.datasets import dataset_path, find_task
    from artifacts.pairs import is_pairs
    from artifacts.tasks import TASKS
    from artifacts.workers import joined

    if is_pairs(dataset_path(a.dataset)) and (not a.task or a.controls):
        raise UsageError("a folder of pairs holds one task: name it with --task, without --controls")
    chosen = [find_task(name, a.dataset) for name in a.task or list(TASKS)]
    with joined():
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

    model, fingerprint = frozen_model(a.model, a.device)
    pairs = load_pairs(a.examples, model.geometry.cell)
    if len(pairs) < 2:
        raise UsageError(f"{a.examples} holds one pair: teach needs 2 or more, each is the example for the others")
    taught = run(model, fingerprint, a.name, pairs, say, a.seed, a.steps)
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
    return _compare(a, metadata["task"], vector) if a.evaluate else 0


def _compare(a: Namespace, name: str, composed: "TaskVector") -> int:
    """`vtv compose --evaluate`: the composition on a composite task, beside its parts and a direct search."""
    from dataclasses import asdict

    from artifacts.artifact import load_artifact
    from artifacts.datasets import find_task
    from artifacts.evaluation.command import TEST_SEED
    from artifacts.evaluation.composites import composite_table, evaluate_composite
    from artifacts.store import Store

    the, store = job(a, Path()), Store(a.store)
    vectors = {name: composed} | {part: store.read(part, the.fingerprint).vector for part in (a.first, a.second)}
    if a.direct is not None:
        vectors["searched directly"] = load_artifact(a.direct, the.fingerprint).vector
    task = find_task(a.evaluate, a.dataset)
    result = evaluate_composite(the, task, vectors, composed.answer, a.episodes, TEST_SEED)
    print(json.dumps(asdict(result)) if a.json else composite_table(result))
    return 0


def evaluate(a: Namespace) -> int:
    """`vtv evaluate`."""
    from artifacts.evaluation.command import evaluate as run

    return run(a, lambda fold: job(a, Path(), fold), say)


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

    from engine.cache import default_root
    from engine.runtime import Engine

    device = a.device or ("cuda" if torch.cuda.is_available() else "cpu")
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


def bench(what: str, words: list[str]) -> int:
    """`vtv bench load|engine|peers|codecs|search|methods|teach`."""
    from importlib import import_module

    module = import_module("benchmarks.peers.command" if what == "peers" else f"benchmarks.{what}")
    return int(module.main(words))
