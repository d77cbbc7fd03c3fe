"""`vtv taskres base`."""

from argparse import Namespace

from artifacts.console import say
from cli import options, taskres_options, values
from cli.parser import Commands

ABOUT = """\
The class names become one vector each, from which a residual starts; the task can be published as it is (zero-shot).
Through lite0 a name that ImageNet has takes its row of the classifier; any other needs the sentence encoder, once."""


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
        ],
        run=run,
    )
    names = parser.add_mutually_exclusive_group(required=True)
    names.add_argument(
        "--dataset", type=values.existing, metavar="DATA", help="the classes of this data set (default: none)"
    )
    names.add_argument(
        "--names", type=values.input_file, metavar="FILE", help="class names, one a line (default: none)"
    )
    names.add_argument(
        "--own-classes", action="store_true", help="the classes that the tower's classifier was trained on"
    )
    parser.add_argument("--task", required=True, metavar="NAME", help="the task's name")
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
    parser.add_argument("--description", default="", metavar="TEXT", help="what the task does (default: its classes)")
    options.add_output(parser, "the task's file")
    taskres_options.add_tower(parser)


def run(a: Namespace) -> int:
    """Make and write."""
    from artifacts.store.file import check_name
    from artifacts.store.residual import save_residual
    from artifacts.taskres.labelled import load_labelled
    from artifacts.taskres.names import read_names
    from artifacts.taskres.task import describe, sentence
    from artifacts.taskres.templates import TEMPLATES
    from artifacts.taskres.text_base import mapped_base, own_base
    from artifacts.taskres.text_map import load_text_map
    from engine.towers.folder import read_fingerprint

    check_name(a.task)
    texts = load_text_map(a.tower, read_fingerprint(a.tower))
    if a.own_classes:
        value = own_base(texts)
    else:
        names = read_names(a.names) if a.names else load_labelled(a.dataset)["train"].names
        value = mapped_base(texts, names, a.template or TEMPLATES[a.templates])
    about = describe(a.task, "class names", 0, 0, "none", a.description or sentence(value.labels))
    save_residual(a.output, value, about)
    say(f"{a.task}: {len(value.labels)} classes in {a.output}")
    return 0
