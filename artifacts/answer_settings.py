"""Answer settings of a task, chosen on validation episodes with its vector."""

from collections.abc import Iterator
from dataclasses import replace

from artifacts.episodes import Episodes
from artifacts.evaluation.metrics import HIGHER_IS_BETTER, METRICS
from artifacts.forward import Progress, answers, episode_logits
from artifacts.tasks import Task
from engine.model import MaeVqgan
from engine.task_vector import AnswerSettings, TaskVector

TEMPERATURES = (0.0, 0.3, 0.5, 0.7, 1.0)
GUIDED = tuple((radius, eps) for radius in (8, 16, 24) for eps in (1e-3, 1e-2))


def settings_grid(task: Task) -> Iterator[AnswerSettings]:
    """Every combination that makes sense for a task."""
    for temperature in TEMPERATURES:
        yield AnswerSettings(temperature)
        if "hole" in task.refinements:
            yield AnswerSettings(temperature, "hole")
        if "guided" in task.refinements:
            for radius, eps in GUIDED:
                yield AnswerSettings(temperature, "guided", radius, eps)


def choose_settings(
    model: MaeVqgan, task: Task, vector: TaskVector, validation: Episodes, progress: Progress
) -> TaskVector:
    """The vector with the settings that score best on the validation episodes."""
    logits = episode_logits(model, validation, vector, one_shot=False)
    sign = 1 if HIGHER_IS_BETTER[task.metric] else -1
    scored = [
        (sign * float(METRICS[task.metric](answers(model, logits, validation.query, s), validation.answer).mean()), s)
        for s in settings_grid(task)
    ]
    best, settings = max(scored, key=lambda pair: pair[0])
    progress(f"{task.name}: {settings} scores {sign * best:.4f} on {len(validation)} validation episodes")
    return replace(vector, answer=settings)
