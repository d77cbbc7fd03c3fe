"""The body of `vtv evaluate`."""

import json
from argparse import Namespace

from artifacts.artifact import load_artifact
from artifacts.build import Job, load_controls
from artifacts.datasets import find_task
from artifacts.episodes import make_episodes
from artifacts.evaluation.report import as_json, markdown, write_report
from artifacts.evaluation.table import BARE, ONE_SHOT, VECTOR, TaskResult, evaluate_task
from artifacts.progress import Progress
from artifacts.store import Store
from artifacts.tasks import COMPOSITES, TASKS, Task
from engine.task_vector import AnswerSettings, TaskVector

TEST_SEED = 101


def evaluate(a: Namespace, job: Job, say: Progress) -> int:
    """Score every asked task on the test split; print a table or JSON; write a report."""
    store, results, episodes = Store(a.store), [], {}
    for name in a.task or [n for n in store.names() if n in TASKS or n in COMPOSITES]:
        task = find_task(name, a.dataset)
        vectors, settings = chosen_vectors(a, job, store, task)
        episodes[name] = make_episodes(job.scenes["test"], task, a.episodes, TEST_SEED)
        result = evaluate_task(job.model, task, episodes[name], vectors, settings)
        results.append(narrowed(a, result))
        say(f"{name}: {', '.join(f'{way} {value}' for way, value in results[-1].chosen.items())}")
    if a.report is not None:
        write_report(a.report, f"Held-out results of {job.model.config.name}", results, episodes)
    print(json.dumps({"results": [as_json(r) for r in results]}) if a.json else markdown(results, "chosen"))
    return 0


def chosen_vectors(a: Namespace, job: Job, store: Store, task: Task) -> tuple[dict[str, TaskVector], AnswerSettings]:
    """The vectors to score, by the row's name, and the answer settings that all rows share."""
    if a.one_shot or a.no_vector:
        return {}, AnswerSettings()
    if a.vector is not None:
        artifact = load_artifact(a.vector, job.fingerprint)
    else:
        artifact = store.read(task.name, job.fingerprint)
    vectors = {VECTOR: artifact.vector}
    if a.controls is not None:
        for kind, vector in load_controls(a.controls, task, job.fingerprint).items():
            vectors[f"control: searched {kind}"] = vector
    return vectors, artifact.vector.answer


def narrowed(a: Namespace, result: TaskResult) -> TaskResult:
    """Only the row that was asked for with --one-shot or --no-vector."""
    keep = ONE_SHOT if a.one_shot else BARE if a.no_vector else None
    if keep is not None:
        for table in (result.published, result.chosen):
            for way in [w for w in table if w != keep]:
                del table[way]
    return result
