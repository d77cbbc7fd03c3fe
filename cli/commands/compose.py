"""`vtv compose`."""

import json
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from artifacts.console import say
from cli import options, values
from cli.parser import Commands, UsageError

if TYPE_CHECKING:
    from artifacts.evaluation.composites import CompositeResult
    from artifacts.tasks.task import Task
    from engine.task_vector import TaskVector

ABOUT = """\
Where one of the two writes, its values are taken; where both write, their mean. The vector is called FIRST+SECOND and
can be published like any other."""


def add(commands: Commands) -> None:
    """Its options."""
    parser = commands.add(
        "compose",
        "add two published vectors up to one",
        about=ABOUT,
        examples=[
            "vtv compose lowlight_enhance inpaint -o both.vector",
            "vtv compose lowlight_enhance inpaint -o both.vector --evaluate lowlight_inpaint",
        ],
        run=run,
    )
    parser.add_argument("first", metavar="FIRST", help="a published task")
    parser.add_argument("second", metavar="SECOND", help="another; the answer settings are the first's")
    options.add_output(parser, "the vector file")
    options.add_store(parser)
    parser.add_argument(
        "--evaluate", metavar="TASK", help="also score it on a composite task: lowlight_inpaint, say (default: none)"
    )
    parser.add_argument(
        "--direct",
        type=values.input_file,
        metavar="FILE",
        help="with --evaluate: compare with this vector, searched for that task (default: none)",
    )
    options.add_dataset(parser)
    options.add_fold(parser)
    options.add_episodes(parser)
    options.add_model(parser)
    options.add_device(parser)
    options.add_json(parser)


def run(a: Namespace) -> int:
    """Compose, write, and score where asked."""
    from artifacts.compose import compose
    from artifacts.data.datasets import find_task
    from artifacts.evaluation.composites import composite_table
    from artifacts.store.artifact import load_artifact, save_artifact
    from artifacts.store.open import open_store

    if a.direct and not a.evaluate:
        raise UsageError("--direct goes with --evaluate TASK")
    task = find_task(a.evaluate, a.dataset) if a.evaluate else None
    if a.direct:
        load_artifact(a.direct)
    store = open_store(a.store)
    vector, metadata = compose(store.read(a.first), store.read(a.second))
    save_artifact(a.output, vector, metadata)
    say(f"{metadata['task']}: {vector.sites} sites in {a.output}")
    result = _compare(a, metadata["task"], vector, task) if task else None
    if a.json:
        about = {"task": metadata["task"], "sites": vector.sites, "output": str(a.output)}
        print(json.dumps(asdict(result) if result else about))
    elif result:
        print(composite_table(result))
    return 0


def _compare(a: Namespace, name: str, composed: "TaskVector", task: "Task") -> "CompositeResult":
    """The composition on a composite task, beside its parts and a direct search."""
    from artifacts.evaluation.composites import evaluate_composite
    from artifacts.job import held_out_episodes
    from artifacts.store.artifact import load_artifact
    from artifacts.store.open import open_store
    from cli.job import job

    the, store = job(a, Path()), open_store(a.store)
    vectors = {name: composed} | {part: store.read(part, the.fingerprint).vector for part in (a.first, a.second)}
    if a.direct is not None:
        vectors["searched directly"] = load_artifact(a.direct, the.fingerprint).vector
    episodes = held_out_episodes(the, task, a.episodes)
    return evaluate_composite(the.model, task, episodes, vectors, composed.answer)
