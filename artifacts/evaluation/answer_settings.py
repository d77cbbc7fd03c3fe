"""Answer settings of a task, chosen on validation episodes with its vector."""

from collections.abc import Iterator
from dataclasses import replace

from artifacts.data.episodes import Episodes
from artifacts.evaluation.metrics import METRICS
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
    metric = METRICS[task.metric]

    def loss(settings: AnswerSettings) -> float:
        painted = answers(model, logits, validation.query, settings)
        return metric.as_loss(float(metric.score(painted, validation.answer).mean()))

    losses = {AnswerSettings(t): loss(AnswerSettings(t)) for t in TEMPERATURES}
    for plain in sorted(losses, key=losses.__getitem__)[:BEST_TEMPERATURES]:
        losses |= {s: loss(s) for s in refinements(task, plain.temperature)}
    best = min(losses, key=losses.__getitem__)
    score = metric.as_loss(losses[best])
    progress(f"{task.name}: {best} scores {score:.4f} on {len(validation)} validation episodes")
    return replace(vector, answer=best)
