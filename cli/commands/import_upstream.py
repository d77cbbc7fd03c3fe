"""`vtv import-upstream`."""

from argparse import Namespace

from artifacts.console import say
from cli import options, values
from cli.parser import Commands


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "import-upstream",
        "make a task vector from the public code's pickles",
        about="Only tensors, numbers and lists are read from them; nothing in them is run. --model is the model that "
        "they were made with.",
        examples=[
            "vtv import-upstream --means task_mean_activations.pkl --bernoullis bernoullis.pkl --task segmentation "
            "-o segmentation.vector"
        ],
        run=run,
    )
    parser.add_argument(
        "--means", type=values.input_file, required=True, metavar="FILE", help="TASK_mean_activations.pkl"
    )
    parser.add_argument("--bernoullis", type=values.input_file, required=True, metavar="FILE", help="bernoullis_*.pkl")
    parser.add_argument("--task", required=True, metavar="NAME", help="what the vector does")
    options.add_output(parser, "the vector file")
    options.add_model(parser)


def run(a: Namespace) -> int:
    """Convert, check against the model, write."""
    from artifacts.search.upstream import describe_upstream, import_upstream
    from artifacts.store.artifact import save_artifact
    from artifacts.store.file import check_name
    from engine.checkpoint import load_model

    check_name(a.task)
    model, fingerprint = load_model(a.model)
    found = import_upstream(model, fingerprint, a.task, a.means, a.bernoullis)
    save_artifact(a.output, found.vector, describe_upstream(a.task, found))
    say(f"{a.task}: {found.vector.sites} sites over {found.prompts} prompts, residual {found.residual:.2g}")
    return 0
