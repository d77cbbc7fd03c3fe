"""`vtv`: one command in front of everything. Heavy imports wait until a command needs them."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from artifacts.errors import OfflineError
from artifacts.paths import BUNDLED_MODEL, BUNDLED_STORE
from artifacts.search.options import add_search_options
from cli import benchmarks, common, models, serving, vectors

INTERRUPTED = 130
OFFLINE_PACKAGES = ("jinja2", "scipy", "skimage", "yaml")
"""Of the extra `offline`; a server does without them."""
OFFLINE_INSTALL = "pip install 'visual-task-vectors[offline]'"
BENCHMARKS = ("load", "engine", "peers", "codecs", "search", "methods", "scopes", "teach")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 done, 1 the thing checked does not hold, 2 bad input, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["bench"] and words[1:2] and words[1] in BENCHMARKS:
        return _guarded(lambda: benchmarks.bench(words[1], words[2:]))
    arguments = parser().parse_args(words)
    return _guarded(lambda: int(arguments.run(arguments)))


def _guarded(call: Callable[[], int]) -> int:
    from engine.errors import EngineError

    try:
        return call()
    except (OfflineError, EngineError, common.UsageError) as error:
        print(f"vtv: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in OFFLINE_PACKAGES:
            raise
        print(f"vtv: this command needs more packages: {OFFLINE_INSTALL}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("vtv: interrupted", file=sys.stderr)
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """Every command and its options."""
    top = argparse.ArgumentParser(prog="vtv", description="Visual Task Vectors: zero-shot visual prompting.")
    sub = top.add_subparsers(required=True, metavar="COMMAND")
    _serving(sub)
    _offline(sub)
    _models(sub)
    bench = sub.add_parser("bench", help="benchmarks (see `vtv bench load --help`)")
    bench.add_argument("what", choices=BENCHMARKS)
    bench.set_defaults(run=lambda a: benchmarks.bench(a.what, []))
    return top


def _numbers(words: str) -> tuple[int, ...]:
    return tuple(int(word) for word in words.split(","))


Subparsers = argparse._SubParsersAction  # the type argparse gives no public name


def _serving(sub: "Subparsers[argparse.ArgumentParser]") -> None:
    serve = sub.add_parser("serve", help="serve the HTTP API and the playground")
    _model(serve)
    _store(serve)
    serve.add_argument("--backend", help="auto, eager, inductor, openvino or tensorrt")
    serve.add_argument("--host", help="default 127.0.0.1")
    serve.add_argument("--port", type=int, help="default 8000")
    # What is not given comes from VTV_ variables, or is the service's default.
    serve.set_defaults(run=serving.serve, model=None, store=None)

    compiler = sub.add_parser("compile", help="compile what `serve` would compile when it starts")
    _model(compiler)
    compiler.add_argument("--backend", default="auto", help="auto, eager, inductor, openvino or tensorrt")
    compiler.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="serve from it with VTV_CACHE (default: where serve looks)"
    )
    compiler.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
    compiler.add_argument("--slots", type=int, default=64, help="of the bank, as VTV_SLOTS")
    compiler.add_argument("--buckets", type=_numbers, help="batch sizes, as VTV_BUCKETS: 1,8,32")
    _json(compiler)
    compiler.set_defaults(run=serving.compile_engine)

    infer = sub.add_parser("infer", help="one answer without a server")
    infer.add_argument("image", type=Path)
    infer.add_argument("--task", required=True)
    infer.add_argument("-o", "--output", type=Path, required=True)
    infer.add_argument("--size", choices=["native", "original"], default="native")
    infer.add_argument("--refine", choices=["auto", "guided", "none"], default="auto")
    infer.add_argument("--mask", type=Path, help="for inpaint: a picture, white where to paint")
    infer.add_argument("--threshold", choices=["none", "auto"], default="none", help="auto: masks in black and white")
    _model(infer)
    _store(infer)
    infer.set_defaults(run=serving.infer)

    tasks = sub.add_parser("tasks", help="list the published tasks, or `tasks show NAME`")
    tasks.add_argument("show", nargs="*", metavar="show NAME")
    tasks.add_argument("--html", type=Path, metavar="FILE", help="with show: also write a page")
    _store(tasks)
    _json(tasks)
    tasks.set_defaults(run=serving.tasks)


def _offline(sub: "Subparsers[argparse.ArgumentParser]") -> None:
    collect = sub.add_parser("collect", help="mean head outputs over solved prompts")
    search = sub.add_parser("search", help="which heads to write")
    evaluate = sub.add_parser("evaluate", help="score answers on held-out episodes")
    build = sub.add_parser("build", help="collect, search, evaluate and publish")
    publish = sub.add_parser("publish", help="validate, hash and install a task vector")
    for command in (collect, search, evaluate, build):
        command.add_argument("--dataset", default="demo", help="`demo` (bundled), a VOC2012-layout folder, or pairs")
        command.add_argument("--fold", type=int, choices=range(4), help="of a VOC2012-layout folder, as Pascal-5i")
        command.add_argument("--seed", type=int, default=0)
    collect.add_argument("--task", required=True)
    collect.add_argument("-o", "--output", type=Path, required=True)
    collect.add_argument("--select", choices=["best", "unique", "random"], default="best", help="of the candidates")
    collect.set_defaults(run=vectors.collect)
    taskness = sub.add_parser("taskness", help="variance of heads between and within tasks, from means files")
    taskness.add_argument("means", type=Path, nargs="+")
    taskness.add_argument("-o", "--output", type=Path, required=True, help="a folder")
    _json(taskness)
    taskness.set_defaults(run=vectors.taskness)
    for command in (search, build):
        add_search_options(command)
    search.add_argument("--task", action="append", required=True, help="repeat for one mask for several tasks")
    search.add_argument("--means", action="append", type=Path, required=True, help="one for each task")
    search.add_argument("-o", "--output", type=Path, required=True, help="a file; a folder for several tasks")
    search.set_defaults(run=vectors.search)
    evaluate.add_argument("--task", action="append", help="repeat for several; default all")
    way = evaluate.add_mutually_exclusive_group()
    way.add_argument("--vector", type=Path, help="a vector file instead of the store's")
    way.add_argument("--one-shot", action="store_true", help="print the one-shot row alone")
    way.add_argument("--no-vector", action="store_true", help="print the bare zero-shot row alone")
    evaluate.add_argument("--controls", type=Path, help="the work folder of `vtv build --controls`")
    evaluate.add_argument("--report", type=Path, help="write tables and picture grids here")
    evaluate.add_argument("--episodes", type=int, default=300)
    evaluate.add_argument("--all-folds", action="store_true", help="a column for each of Pascal-5i's folds")
    evaluate.add_argument("--full-size", type=int, metavar="PX", help="also at the pictures' own size (demo: 384)")
    _store(evaluate)
    _json(evaluate)
    evaluate.set_defaults(run=vectors.evaluate)
    build.add_argument("--task", action="append", help="repeat for several; default all five")
    build.add_argument("--work", type=Path, default=Path("vtv-build"), help="intermediate files; a rerun resumes")
    build.add_argument("--controls", action="store_true", help="also search the two control vectors of each task")
    build.add_argument("--store", type=Path, required=True)
    build.set_defaults(run=vectors.build)
    publish.add_argument("vector", type=Path)
    publish.add_argument("--store", type=Path, required=True)
    publish.set_defaults(run=vectors.publish)
    for command in (collect, search, evaluate, build, publish):
        _model(command)
    for command in (collect, search, evaluate, build):
        _device(command)
    _vectors(sub)


def _vectors(sub: "Subparsers[argparse.ArgumentParser]") -> None:
    teach = sub.add_parser("teach", help="a task from a folder of input/output pairs")
    teach.add_argument("name")
    teach.add_argument("--examples", type=Path, required=True, help="a folder: input/NAME.*, output/NAME.*")
    teach.add_argument("--store", type=Path, required=True)
    teach.add_argument("--force", action="store_true", help="publish even if it is no better than no vector")
    teach.add_argument("--seed", type=int, default=0)
    teach.add_argument("--steps", type=int, default=60, help="of the search, where there are 6 pairs or more")
    _model(teach)
    _device(teach)
    _json(teach)
    teach.set_defaults(run=vectors.teach)

    compose = sub.add_parser("compose", help="two published vectors as one")
    compose.add_argument("first")
    compose.add_argument("second")
    _store(compose)
    compose.add_argument("-o", "--output", type=Path, required=True)
    compose.add_argument("--evaluate", metavar="TASK", help="also score it, on lowlight_inpaint, say")
    compose.add_argument("--direct", type=Path, metavar="VECTOR", help="with --evaluate: searched for that task")
    compose.add_argument("--dataset", default="demo")
    compose.add_argument("--fold", type=int, choices=range(4))
    compose.add_argument("--seed", type=int, default=0)
    compose.add_argument("--episodes", type=int, default=300)
    _model(compose)
    _device(compose)
    _json(compose)
    compose.set_defaults(run=vectors.compose)


def _models(sub: "Subparsers[argparse.ArgumentParser]") -> None:
    data = sub.add_parser("data", help="make the demonstration data set")
    data.add_argument("what", choices=["demo"])
    data.add_argument("--root", type=Path, required=True, help="where the source packages are unpacked")
    data.add_argument("-o", "--output", type=Path, required=True)
    data.add_argument("--size", type=int, default=128)
    data.add_argument("--train", type=int, default=30000)
    data.add_argument("--val", type=int, default=600)
    data.add_argument("--seed", type=int, default=0)
    data.add_argument("--workers", type=int, default=1)
    data.set_defaults(run=models.data)

    train = sub.add_parser("train", help="a base model from scratch")
    train.add_argument("what", choices=["tokenizer", "decoder", "mae"])
    train.add_argument("--dataset", type=Path, required=True)
    train.add_argument("-o", "--output", type=Path, required=True, help="checkpoints; a rerun resumes")
    train.add_argument("--minutes", type=float, required=True, help="time budget of this stage")
    train.add_argument("--size", choices=["small", "medium"], default="small")
    train.add_argument("--batch", type=int, default=16, help="per process")
    train.add_argument("--seed", type=int, default=0)
    train.set_defaults(run=models.train)

    export = sub.add_parser("export", help="a model directory from training checkpoints")
    export.add_argument("--run", dest="folder", type=Path, required=True, help="the folder `vtv train` wrote")
    export.add_argument("-o", "--output", type=Path, required=True)
    export.set_defaults(run=models.export)

    importer = sub.add_parser("import-checkpoint", help="a model directory from the official files")
    importer.add_argument("mae", type=Path)
    importer.add_argument("--vqgan", type=Path, required=True)
    importer.add_argument("--vqgan-config", type=Path)
    importer.add_argument("--heads", type=int, help="of the encoder, where no published model has its width")
    importer.add_argument("--decoder-heads", type=int)
    importer.add_argument("-o", "--output", type=Path, required=True)
    importer.set_defaults(run=models.import_checkpoint)

    upstream = sub.add_parser("import-upstream", help="a task vector from the public code's pickles")
    upstream.add_argument("--means", type=Path, required=True, help="TASK_mean_activations.pkl")
    upstream.add_argument("--bernoullis", type=Path, required=True, help="bernoullis_*.pkl")
    upstream.add_argument("--task", required=True)
    upstream.add_argument("-o", "--output", type=Path, required=True)
    _model(upstream)
    upstream.set_defaults(run=vectors.import_upstream)

    parity = sub.add_parser("parity", help="compare with golden data")
    parity.add_argument("directory", type=Path)
    parity.add_argument("--size", action="append", choices=["tiny", "large"], help="default: both")
    _json(parity)
    parity.set_defaults(run=models.parity)


def _model(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", type=Path, default=BUNDLED_MODEL, help="model directory (default: bundled)")


def _device(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", choices=["cpu", "cuda"], help="default: cuda where there is one")


def _store(command: argparse.ArgumentParser) -> None:
    command.add_argument("--store", type=Path, default=BUNDLED_STORE, help="artifact store (default: bundled)")


def _json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="one JSON object on standard output, nothing else")


if __name__ == "__main__":
    sys.exit(main())
