"""What a task is: a pair of views, how its answers are scored, and what else has to be known of it."""

from dataclasses import dataclass

from artifacts.tasks.views import View


@dataclass(frozen=True, slots=True)
class Task:
    """A named pair of views: the query shows `source`, the answer is to be `target`.

    `metric` names one of `artifacts.evaluation.metrics.METRICS`. `refinements` are what may be tried on its answers
    (`engine.task_vector.REFINEMENTS`). `recolour`: vectors are made and chosen on pictures in other colours, as the
    model may remember those that it was trained on. `training_share`: how often training a base model draws it,
    relative to the other tasks; 0 is never. `parts`: of a composite, the two tasks that it does at once; a composite
    is built only when it is named.
    """

    name: str
    source: View
    target: View
    metric: str
    description: str
    refinements: tuple[str, ...] = ("guided",)
    recolour: bool = False
    training_share: float = 0.0
    parts: tuple[str, ...] = ()
