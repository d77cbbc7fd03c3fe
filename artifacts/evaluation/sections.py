"""A report's tables, the same for Markdown and HTML."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from artifacts.evaluation.metrics import METRICS
from artifacts.evaluation.quality import QUALITY
from artifacts.evaluation.table import TaskResult
from artifacts.evaluation.ways import VECTOR


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, a sentence (or none), and a table of a head row and rows, all texts."""

    title: str
    text: str
    head: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        """The table alone."""
        lines = ["| " + " | ".join(self.head) + " |", "|---" * len(self.head) + "|"]
        for row in self.rows:
            name = f"**{row[0]}**" if row[0] == VECTOR else row[0]
            lines.append("| " + " | ".join([name, *row[1:]]) + " |")
        return "\n".join(lines)


def ways_section(title: str, text: str, results: Sequence[TaskResult], table: str) -> Section:
    """A row per way to answer, a column per task; `table` is `published`, `chosen` or `gains`."""
    tables = [getattr(result, table) for result in results]
    ways = list(dict.fromkeys(way for one in tables for way in one))
    return Section(
        title, text, ["", *map(heading, results)], [[way, *(str(t.get(way, "")) for t in tables)] for way in ways]
    )


def heading(result: TaskResult) -> str:
    """A column's head: the task, its metric, and which way is better."""
    return f"{result.task} ({METRICS[result.metric].heading})"


def sections(results: Sequence[TaskResult]) -> Iterator[Section]:
    """Everything a report tells in tables."""
    yield ways_section(
        "With the answer settings chosen on validation episodes",
        " ".join([settings_line(results), *map(empty_line, filter(lambda result: result.empty, results))]),
        results,
        "chosen",
    )
    if any(result.gains for result in results):
        title = "How much better the task vector is, paired by episode (positive is better)"
        yield ways_section(title, "", results, "gains")
    yield ways_section("With the published settings (argmax, no refinement)", "", results, "published")
    yield from _full_sections(results)
    for result in results:
        if result.quality:
            rows = [[way, *map(str, measures.values())] for way, measures in result.quality.items()]
            yield Section(f"{result.task}: other measures, chosen settings", "", ["", *QUALITY], rows)
        if result.classes:
            yield _class_section(result)


def settings_line(results: Sequence[TaskResult]) -> str:
    """What was chosen per task, in words."""
    parts = []
    for result in results:
        s = result.settings
        code = "argmax" if s.temperature == 0 else f"expected code at {s.temperature:g}"
        seeds = s.refine in ("guided", "grabcut")
        how = f"{s.refine}, radius {s.radius}, eps {s.eps:g}" if seeds else s.refine
        parts.append(f"{result.task}: {code}, refine {how}")
    return "; ".join(parts) + "."


def empty_line(result: TaskResult) -> str:
    """How many answers of each way count as 1 because neither they nor the truth hold anything."""
    counts = ", ".join(f"{way} {count}" for way, count in result.empty.items() if count)
    return f"{result.task}: answers that are empty where the truth is too count as 1: {counts or 'none'}."


def _full_sections(results: Sequence[TaskResult]) -> Iterator[Section]:
    for result in results:
        if result.full is None:
            continue
        full = result.full
        columns = {"published settings, enlarged": full.published, "chosen settings": full.chosen}
        if full.borders:
            columns["boundary F ↑, chosen settings"] = full.borders
        rows = [[way, *(str(column[way]) for column in columns.values())] for way in full.chosen]
        title = f"{heading(result)} at full size, {full.side} px"
        yield Section(title, f"{full.episodes} episodes.", ["", *columns], rows)


def _class_section(result: TaskResult) -> Section:
    numbers = sorted({number for scores in result.classes.values() for number in scores})
    rows = []
    for way, scores in result.classes.items():
        mean = sum(scores.values()) / len(scores)
        rows.append([way, f"{mean:.3f}", *(f"{scores[number]:.3f}" for number in numbers)])
    text = "Intersections and unions add up over a class's episodes; mIoU is the mean over classes."
    return Section(f"{result.task}: IoU by class, chosen settings", text, ["", "mIoU", *map(str, numbers)], rows)
