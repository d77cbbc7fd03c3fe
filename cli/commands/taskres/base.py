"""`vtv taskres base`."""

import json
from argparse import Namespace
from argparse import _ActionsContainer as Container
from typing import TYPE_CHECKING

from artifacts.console import say
from cli import options, taskres_options, values
from cli.parser import Commands, UsageError

if TYPE_CHECKING:
    from artifacts.store.residual import TaskResidual
    from artifacts.taskres.class_texts import ClassTexts
    from artifacts.taskres.make_base import Wording

ABOUT = """\
The class names become one vector each, from which a residual starts; the task can be published as it is (zero-shot).
Through lite0 a name that ImageNet has takes its row of the classifier; any other needs the sentence encoder, once.

An enhanced base has another text projection: of a file (--projection), or tuned on a draw of the data set (--tune)."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "base",
        "make a task of class names alone",
        about=ABOUT,
        examples=[
            "vtv taskres base --dataset animals --task animals -o animals.base",
            "vtv taskres base --names names.txt --template 'a photo of a {}.' --task birds -o birds.base",
            "vtv taskres base --own-classes --task objects -o objects.base",
            "vtv taskres base --dataset animals --tune 16 --task animals -o animals.base",
        ],
        run=run,
        resumes=True,
    )
    parser.add_argument("--task", required=True, metavar="NAME", help="the task's name")
    parser.add_argument(
        "--names", type=values.input_file, metavar="FILE", help="class names, one a line (default: none)"
    )
    parser.add_argument(
        "--own-classes", action="store_true", help="the classes that the tower's classifier was trained on"
    )
    taskres_options.add_class_data(parser, required=False)
    _add_words(parser)
    better = parser.add_mutually_exclusive_group()
    better.add_argument(
        "--projection", type=values.input_file, metavar="FILE", help="the public code's strong_base (default: none)"
    )
    better.add_argument(
        "--tune", type=values.whole(1), metavar="SHOTS", help="tune the projection on so many (default: none)"
    )
    parser.add_argument("--seed", type=values.whole(0), default=1, metavar="N", help="of --tune's draw")
    parser.add_argument(
        "--scale", type=values.positive, metavar="S", help="the factor on cosines (default: the tower's own)"
    )
    options.add_output(parser, "the task's file; with --tune also FILE.projection, in the public format")
    taskres_options.add_tower(parser)
    taskres_options.add_precision(parser)
    parser.add_argument(
        "--clip", type=values.input_folder, metavar="DIR", help="the CLIP whose image tower --tower is (default: none)"
    )
    options.add_json(parser)


def _add_words(parser: Container) -> None:
    texts = parser.add_mutually_exclusive_group()
    texts.add_argument(
        "--template",
        action="append",
        metavar="TEXT",
        help="with {} for the name; repeat for the mean over several (default: 'a photo of a {}.')",
    )
    texts.add_argument(
        "--templates", choices=taskres_options.TEMPLATE_SETS, default="default", help="the paper's, by data set"
    )
    parser.add_argument("--keep-underscores", action="store_true", help="leave them in names, as the public code does")
    parser.add_argument("--description", default="", metavar="TEXT", help="what the task does (default: its classes)")


def run(a: Namespace) -> int:
    """Make and write."""
    from artifacts.store.file import check_name
    from artifacts.store.residual import save_residual
    from artifacts.taskres.open_texts import open_texts
    from artifacts.taskres.task import describe, sentence

    if sum(map(bool, (a.names, a.dataset, a.own_classes))) != 1:
        raise UsageError("give one of --dataset, --names and --own-classes")
    check_name(a.task)
    texts = open_texts(a.tower, a.clip)
    texts.scale = a.scale or texts.scale
    value = _make(a, texts)
    data = taskres_options.data_name(a.dataset) if a.tune else "none"
    method = "tuned projection" if a.tune else "given projection" if a.projection else "class names"
    told = a.description or sentence(value.labels)
    about = describe(a.task, method, a.tune or 0, a.seed if a.tune else 0, data, told)
    digest = save_residual(a.output, value, about)
    say(f"{a.task}: {len(value.labels)} classes in {a.output}")
    if a.json:
        print(json.dumps({"task": a.task, "artifact": digest, "classes": len(value.labels), "method": method}))
    return 0


def _make(a: Namespace, texts: "ClassTexts") -> "TaskResidual":
    from artifacts.taskres.labelled import load_labelled
    from artifacts.taskres.make_base import Wording, projected_base, regular_base
    from artifacts.taskres.names import read_names
    from artifacts.taskres.public_checkpoint import read_projection
    from artifacts.taskres.templates import TEMPLATES
    from artifacts.taskres.text_base import MappedTexts

    if a.own_classes:
        if not isinstance(texts, MappedTexts) or a.projection or a.tune:
            raise UsageError("--own-classes are of a tower with a classifier, as lite0, and of its rows as they are")
        return texts.own_classes()
    names = read_names(a.names) if a.names else load_labelled(a.dataset, a.images)["train"].names
    words = Wording(names, a.template or TEMPLATES[a.templates], a.keep_underscores)
    if a.projection:
        return projected_base(texts, words, read_projection(a.projection))
    return _tune(a, texts, words) if a.tune else regular_base(texts, words)


def _tune(a: Namespace, texts: "ClassTexts", words: "Wording") -> "TaskResidual":
    from artifacts.taskres.make_base import tuned_base
    from artifacts.taskres.public_checkpoint import write_projection

    if not a.dataset:
        raise UsageError("--tune draws from a data set: give --dataset")
    source = taskres_options.feature_source(a, taskres_options.class_data(a))
    value, tuned = tuned_base(texts, words, source.draw(a.tune, a.seed), a.seed)
    write_projection(a.output.with_name(a.output.name + ".projection"), tuned.projection)
    say(f"learning rate {tuned.rate:g} does best on validation pictures")
    return value
