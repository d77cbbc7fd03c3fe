"""Answer settings of a task, chosen on validation episodes with its vector."""

from collections.abc import Iterator
from dataclasses import replace

from artifacts.data.episodes import Episodes
from artifacts.evaluation.metrics import HIGHER_IS_BETTER, METRICS
from artifacts.forward import answers, episode_logits
from artifacts.progress import Progress
from artifacts.tasks.task import Task
from engine.model import MaeVqgan
from engine.task_vector import AnswerSettings, TaskVector

TEMPERATURES = (0.0, 0.3, 0.5, 0.7, 1.0)
BEST_TEMPERATURES = 2
GUIDED = tuple((radius, eps) for radius in (8, 16, 24, 32) for eps in (1e-4, 1e-3))


def refinements(task: Task, temperature: float) -> Iterator[AnswerSettings]:
    """Every refinement that makes sense for a task."""
    if "hole" in task.refinements:
        yield AnswerSettings(temperature, "hole")
    if "guided" in task.refinements:
        for radius, eps in GUIDED:
            yield AnswerSettings(temperature, "guided", radius, eps)


def choose_settings(
    model: MaeVqgan, task: Task, vector: TaskVector, validation: Episodes, progress: Progress
) -> TaskVector:
    """The vector with the settings that score best on the validation episodes.

    Temperatures are tried unrefined first; refinements at the best two of them.
    """
    logits = episode_logits(model, validation, vector, one_shot=False)
    sign = 1 if HIGHER_IS_BETTER[task.metric] else -1

    def score(settings: AnswerSettings) -> float:
        painted = answers(model, logits, validation.query, settings)
        return sign * float(METRICS[task.metric](painted, validation.answer).mean())

    scored = {AnswerSettings(t): score(AnswerSettings(t)) for t in TEMPERATURES}
    for plain in sorted(scored, key=scored.__getitem__, reverse=True)[:BEST_TEMPERATURES]:
        scored |= {s: score(s) for s in refinements(task, plain.temperature)}
    best = max(scored, key=scored.__getitem__)
    progress(f"{task.name}: {best} scores {sign * scored[best]:.4f} on {len(validation)} validation episodes")
    return replace(vector, answer=best)
