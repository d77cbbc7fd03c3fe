"""A composed vector on a composite task, against each of its parts alone and against a vector searched directly."""

from collections.abc import Mapping
from dataclasses import dataclass

from artifacts.data.episodes import Episodes
from artifacts.evaluation.bootstrap import Interval, interval
from artifacts.evaluation.metrics import METRICS
from artifacts.evaluation.ways import BARE, COPY, ONE_SHOT
from artifacts.forward import answers, episode_logits
from artifacts.tasks.task import Task
from engine.model import MaeVqgan
from engine.task_vector import PUBLISHED_ANSWER, AnswerSettings, TaskVector


@dataclass(frozen=True, slots=True)
class CompositeResult:
    """Scores by row: with the published answer settings, and with each vector's own."""

    task: str
    metric: str
    episodes: int
    published: dict[str, Interval]
    own: dict[str, Interval]


def evaluate_composite(
    model: MaeVqgan, task: Task, episodes: Episodes, vectors: Mapping[str, TaskVector], settings: AnswerSettings
) -> CompositeResult:
    """Score each vector with its own settings; rows without a vector with `settings`, those of the composition."""
    ways: dict[str, tuple[TaskVector | None, bool, AnswerSettings]] = {
        ONE_SHOT: (None, True, settings),
        BARE: (None, False, settings),
        **{name: (vector, False, vector.answer) for name, vector in vectors.items()},
    }
    score = METRICS[task.metric].score
    published = {COPY: interval(score(episodes.query, episodes.answer))}
    own = dict(published)
    for name, (vector, one_shot, how) in ways.items():
        logits = episode_logits(model, episodes, vector, one_shot=one_shot)
        for table, chosen in ((published, PUBLISHED_ANSWER), (own, how)):
            painted = answers(model, logits, episodes.query, chosen)
            table[name] = interval(score(painted, episodes.answer))
    return CompositeResult(task.name, task.metric, len(episodes), published, own)


def composite_table(result: CompositeResult) -> str:
    """Markdown."""
    lines = [
        f"| {result.task}, {result.metric}, {result.episodes} episodes | published settings | own settings |",
        "|---|---|---|",
        *(f"| {name} | {result.published[name]} | {value} |" for name, value in result.own.items()),
    ]
    return "\n".join(lines)
