"""`vtv infer`."""

import json
from argparse import ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from artifacts.console import say
from artifacts.errors import NEEDS_RAY, OfflineError
from artifacts.pictures.formats import SUFFIXES
from cli import options, taskres_options, values
from cli.parser import Commands, UsageError

if TYPE_CHECKING:
    from artifacts.infer.many import MakeAnswer, Summary
    from artifacts.infer.steps import Wanted
    from artifacts.store.residual import ResidualArtifact

ABOUT = """\
One picture, or every picture below a folder or an s3: address. A picture is painted into a file; of a classification
task the classes are told, of one picture. The steps are those of the service, in this process. `vtv tasks` lists the
tasks.

Of many pictures -o is a folder. Its manifest.jsonl has a line for each picture: its answer's file or why there is none,
task, artifact, model and time. Interrupted work goes on where it stopped. On a Ray cluster each GPU has an engine, else
each OMP_NUM_THREADS processors have one; every machine must see the pictures and the model under the same names."""
TOP_K = 5
"""As the service's `top_k`."""
_LISTED = 20


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "infer",
        "answer pictures without a server",
        about=ABOUT,
        examples=[
            "vtv infer cat.jpg --task segmentation -o mask.png --size original --threshold auto",
            "vtv infer cat.jpg --task inpaint --mask hole.png -o filled.jpg",
            "vtv infer cat.jpg --task animals --store my-store --json",
            "vtv infer photos --task segmentation -o masks",
            "vtv infer s3://bucket/photos --task segmentation -o masks --ray auto",
        ],
        run=run,
        resumes=True,
    )
    parser.add_argument(
        "pictures", type=values.pictures, metavar="PICTURES", help="a file, a folder or s3://bucket/prefix"
    )
    parser.add_argument("--task", required=True, metavar="NAME", help="what to do with it")
    parser.add_argument(
        "-o",
        "--output",
        type=values.output,
        metavar="OUT",
        help="for tasks that paint: the answer's file, whose ending says the format, .png, .jpg or .webp; of many "
        "pictures a folder (default: none)",
    )
    parser.add_argument(
        "--size", choices=["native", "original"], help="112 px, or the picture's own size (default: native)"
    )
    parser.add_argument(
        "--refine", choices=["auto", "guided", "none"], help="auto: as the task's artifact says (default: auto)"
    )
    parser.add_argument(
        "--mask",
        type=values.input_file,
        metavar="FILE",
        help="for tasks that fill holes: a picture, white where to paint (default: the black holes of IMAGE)",
    )
    parser.add_argument(
        "--threshold",
        choices=["none", "auto"],
        help="auto: masks in black and white, cut where the artifact says (default: none)",
    )
    parser.add_argument("--format", choices=["png", "jpeg", "webp"], help="of many pictures' answers (default: png)")
    parser.add_argument(
        "--top-k", type=values.whole(1), metavar="N", help="for classification tasks: how many classes (default: 5)"
    )
    options.add_backend(parser)
    options.add_ray(parser)
    options.add_model(parser)
    options.add_store(parser)
    taskres_options.add_tower(parser)
    taskres_options.add_precision(parser)
    options.add_json(parser)


def run(a: Namespace) -> int:
    """Paint one answer or many, or tell the classes."""
    from artifacts.infer.steps import Wanted
    from artifacts.store.open import open_store
    from artifacts.store.residual import ResidualArtifact

    alone = isinstance(a.pictures, Path) and a.pictures.is_file()
    _check(a, alone)
    artifact = open_store(a.store).read_any(a.task)
    if isinstance(artifact, ResidualArtifact):
        _refuse(a, ("output", "size", "refine", "mask", "threshold", "format", "ray"), "answers with classes")
        if not alone:
            raise UsageError(f"{a.task} answers with classes: give one picture, {a.pictures} is none")
        return _classify(a, artifact)
    _refuse(a, ("top_k",), "answers with a picture")
    if a.output is None:
        raise UsageError(f"needs -o/--output: {a.task} answers with a picture")
    wanted = Wanted(a.size or "native", a.refine or "auto", a.mask, a.threshold or "none")
    return _one(a, wanted) if alone else _many(a, wanted)


def _check(a: Namespace, alone: bool) -> None:
    """What is wrong whatever the task is."""
    if alone and a.output is not None:
        try:
            values.output_picture(str(a.output))
        except ArgumentTypeError as error:
            raise UsageError(f"-o/--output {error}") from None
    elif alone and a.ray is not None:
        raise UsageError("--ray goes with many pictures: give a folder or an s3: address")
    elif not alone and a.mask is not None:
        raise UsageError("--mask goes with one picture: of many, the black regions are filled")
    elif not alone and a.output is not None and (a.output.is_file() or a.output.suffix.lower() in SUFFIXES):
        raise UsageError(f"-o/--output: many pictures are answered in a folder, not in {a.output}")


def _refuse(a: Namespace, names: tuple[str, ...], why: str) -> None:
    for name in names:
        if getattr(a, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')}: {a.task} {why}")


def _one(a: Namespace, wanted: "Wanted") -> int:
    from artifacts.infer.one import infer_file

    a.output.parent.mkdir(parents=True, exist_ok=True)
    infer_file(a.model, a.store, a.pictures, a.task, a.output, wanted)
    if a.json:
        print(json.dumps({"task": a.task, "output": str(a.output)}))
    return 0


def _many(a: Namespace, wanted: "Wanted") -> int:
    from artifacts.infer.many import Request, infer_many

    request = Request(a.model, a.store, a.pictures, a.task, a.output, wanted, a.format or "png", a.backend)
    _tell(a, infer_many(request, say, _answering(a.ray)))
    return 0


def _answering(ray: str | None) -> "MakeAnswer":
    if ray is None:
        from artifacts.infer.many import answering_here

        return answering_here
    try:
        from artifacts.infer.cluster import answering_on
    except ImportError:
        raise OfflineError(f"--ray {NEEDS_RAY}") from None
    return answering_on(ray)


def _tell(a: Namespace, summary: "Summary") -> None:
    for picture, why in summary.skipped[:_LISTED]:
        say(f"skipped {picture}: {why}")
    if len(summary.skipped) > _LISTED:
        say(f"... and {len(summary.skipped) - _LISTED} more: see {a.output}/manifest.jsonl")
    counted = {"pictures": summary.pictures, "answered": summary.answered, "skipped": len(summary.skipped)}
    words = f"{summary.answered} of {summary.pictures} pictures answered in {a.output}"
    print(json.dumps(counted) if a.json else words)


def _classify(a: Namespace, artifact: "ResidualArtifact") -> int:
    from artifacts.classify import classify_file

    told = classify_file(a.tower, artifact, a.pictures, a.precision)[: a.top_k or TOP_K]
    if a.json:
        classes = [{"label": label, "score": score} for label, score in told]
        print(json.dumps({"task": a.task, "artifact": artifact.hash, "classes": classes}))
        return 0
    width = max(len(label) for label, _ in told)
    print("\n".join(f"{label:{width}}  {score:.3f}" for label, score in told))
    return 0
