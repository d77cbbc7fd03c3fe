"""`vtv infer`."""

import json
from argparse import Namespace
from typing import TYPE_CHECKING

from cli import options, taskres_options, values
from cli.parser import Commands, UsageError

if TYPE_CHECKING:
    from artifacts.store.residual import ResidualArtifact

TOP_K = 5
"""As the service's `top_k`."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "infer",
        "answer one picture without a server",
        about="A picture painted into a file, or the classes that a classification task sees in it. The steps are "
        "those of the service, in this process. `vtv tasks` lists the tasks.",
        examples=[
            "vtv infer cat.jpg --task segmentation -o mask.png --size original --threshold auto",
            "vtv infer cat.jpg --task inpaint --mask hole.png -o filled.jpg",
            "vtv infer cat.jpg --task animals --store my-store --json",
        ],
        run=run,
    )
    parser.add_argument("image", type=values.input_file, metavar="IMAGE", help="the picture's file")
    parser.add_argument("--task", required=True, metavar="NAME", help="what to do with it")
    parser.add_argument(
        "-o",
        "--output",
        type=values.output_picture,
        metavar="FILE",
        help="the answer's file, for tasks that paint; its ending says the format: .png, .jpg or .webp (default: none)",
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
    parser.add_argument(
        "--top-k", type=values.whole(1), metavar="N", help="for classification tasks: how many classes (default: 5)"
    )
    options.add_model(parser)
    options.add_store(parser)
    taskres_options.add_tower(parser)
    options.add_json(parser)


def run(a: Namespace) -> int:
    """Paint one answer, or tell the classes."""
    from artifacts.store.open import open_store
    from artifacts.store.residual import ResidualArtifact

    artifact = open_store(a.store).read_any(a.task)
    if isinstance(artifact, ResidualArtifact):
        _refuse(a, ("output", "size", "refine", "mask", "threshold"), "answers with classes")
        return _classify(a, artifact)
    _refuse(a, ("top_k",), "answers with a picture")
    if a.output is None:
        raise UsageError(f"needs -o/--output: {a.task} answers with a picture")
    return _paint(a)


def _refuse(a: Namespace, names: tuple[str, ...], why: str) -> None:
    for name in names:
        if getattr(a, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')}: {a.task} {why}")


def _paint(a: Namespace) -> int:
    from artifacts.infer import Wanted, infer_file

    a.output.parent.mkdir(parents=True, exist_ok=True)
    wanted = Wanted(a.size or "native", a.refine or "auto", a.mask, a.threshold or "none")
    infer_file(a.model, a.store, a.image, a.task, a.output, wanted)
    if a.json:
        print(json.dumps({"task": a.task, "output": str(a.output)}))
    return 0


def _classify(a: Namespace, artifact: "ResidualArtifact") -> int:
    from artifacts.classify import classify_file

    told = classify_file(a.tower, artifact, a.image)[: a.top_k or TOP_K]
    if a.json:
        classes = [{"label": label, "score": score} for label, score in told]
        print(json.dumps({"task": a.task, "artifact": artifact.hash, "classes": classes}))
        return 0
    width = max(len(label) for label, _ in told)
    print("\n".join(f"{label:{width}}  {score:.3f}" for label, score in told))
    return 0
