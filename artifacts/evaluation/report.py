"""An evaluation as Markdown, JSON, HTML and picture grids."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from artifacts.data.episodes import Episodes
from artifacts.evaluation.grid import grid
from artifacts.evaluation.sections import sections, ways_section
from artifacts.evaluation.table import TaskResult
from artifacts.pages import picture_source, write_page


def markdown(results: Sequence[TaskResult], table: str) -> str:
    """One table: a row per way to answer, a column per task; `table` is `published`, `chosen` or `gains`."""
    return ways_section("", "", results, table).markdown()


def write_report(directory: Path, title: str, results: Sequence[TaskResult], episodes: dict[str, Episodes]) -> None:
    """`results.md`, `results.json`, a grid per task, and `results.html`, which holds all of it in one file."""
    directory.mkdir(parents=True, exist_ok=True)
    count = results[0].episodes
    intro = (
        f"{count} held-out episodes a task, mean with 95 % bootstrap interval. IoU: higher is better; "
        "MSE in ImageNet-normalised space: lower is better."
    )
    text, parts, pictures = [f"# {title}", "", intro, ""], list(sections(results)), []
    for part in parts:
        text += [f"## {part.title}", "", *([part.text, ""] if part.text else []), part.markdown(), ""]
    for result in results:
        path = directory / f"{result.task}.png"
        grid(path, result, episodes[result.task])
        caption = f"{result.task}: query, truth, one-shot, no vector, task vector"
        text += [f"## {result.task}", "", f"![{caption}]({path.name})", ""]
        pictures.append((result.task, caption, picture_source(path)))
    (directory / "results.md").write_text("\n".join(text))
    (directory / "results.json").write_text(json.dumps([as_json(result) for result in results], indent=1) + "\n")
    page = directory / "results.html"
    write_page(page, "results.html", title=title, intro=intro, sections=parts, pictures=pictures)


def as_json(result: TaskResult) -> dict[str, object]:
    """A result without its pictures."""
    about = asdict(result)
    del about["pictures"]
    return about
