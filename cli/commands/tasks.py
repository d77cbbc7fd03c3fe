"""`vtv tasks` and `vtv tasks show NAME`."""

import json
from argparse import Namespace

from artifacts.console import say
from cli import options, values
from cli.parser import Commands, UsageError

ABOUT = """\
A table with each task's description, its metric on held-out pictures, when it was made and its artifact's hash. `vtv
tasks show NAME` says everything about one."""


def add(commands: Commands) -> None:
    """Its options, and `show`'s."""
    parser = commands.add(
        "tasks",
        "list the published tasks, or show one",
        about=ABOUT,
        examples=["vtv tasks", "vtv tasks --store my-store --json", "vtv tasks show segmentation"],
        run=list_all,
    )
    parser.usage = "vtv tasks [--store DIR] [--json]\n       vtv tasks show NAME [--html FILE] [--store DIR] [--json]"
    options.add_store(parser)
    options.add_json(parser)
    show = Commands(parser, required=False).add(
        "show",
        "what a task's artifact is, how good it is, and where it writes",
        examples=["vtv tasks show segmentation", "vtv tasks show segmentation --html segmentation.html"],
        run=show_one,
    )
    show.add_argument("name", metavar="NAME", help="the task")
    show.add_argument("--html", type=values.output_file, metavar="FILE", help="also write a page (default: none)")
    options.add_store(show, again=True)
    options.add_json(show, again=True)


def list_all(a: Namespace) -> int:
    """One line a task; what cannot be read is named on standard error."""
    from artifacts.errors import ArtifactError, StoreAway
    from artifacts.store import show
    from artifacts.store.open import open_store

    store = open_store(a.store)
    for stray in store.strays():
        say(f"{stray!r} in {store} is no task: it is passed over")
    found = []
    for name in store.names():
        try:
            found.append(store.read_any(name))
        except (ArtifactError, StoreAway) as error:
            say(f"task {name} cannot be read: {error}")
    if not found:
        say(f"no task is published in {a.store}")
    print(json.dumps({"tasks": [show.summary(artifact) for artifact in found]}) if a.json else show.as_table(found))
    return 0


def show_one(a: Namespace) -> int:
    """Everything about one task."""
    from artifacts.store import show, show_residual
    from artifacts.store.open import open_store
    from artifacts.store.residual import ResidualArtifact

    artifact = open_store(a.store).read_any(a.name)
    if isinstance(artifact, ResidualArtifact):
        if a.html:
            raise UsageError(f"--html: {a.name} answers with classes, and a page shows where a task vector writes")
        print(json.dumps(show.summary(artifact)) if a.json else show_residual.as_text(artifact))
        return 0
    if a.html:
        show.write_artifact_page(a.html, artifact)
    print(json.dumps(show.as_json(artifact)) if a.json else show.as_text(artifact))
    return 0
