"""Tables and picture grids of an evaluation, as Markdown, JSON and PNG."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from artifacts.episodes import Episodes
from artifacts.evaluation.metrics import HIGHER_IS_BETTER
from artifacts.evaluation.table import BARE, ONE_SHOT, VECTOR, TaskResult

ROWS_SHOWN = 6
MARGIN, LABEL = 4, 16
GRID_COLUMNS = (("query", None), ("truth", None), ("one-shot", ONE_SHOT), ("no vector", BARE), ("task vector", VECTOR))


def markdown(results: Sequence[TaskResult], table: str) -> str:
    """One table: a row per way to answer, a column per task; `table` is `published`, `chosen` or `gains`."""
    ways = list(dict.fromkeys(way for result in results for way in getattr(result, table)))
    heads = [f"{r.task} ({'IoU ↑' if HIGHER_IS_BETTER[r.metric] else 'MSE ↓'})" for r in results]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for way in ways:
        cells = [str(getattr(r, table).get(way, "")) for r in results]
        name = f"**{way}**" if way == VECTOR else way
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def settings_line(results: Sequence[TaskResult]) -> str:
    """What was chosen per task, in words."""
    parts = []
    for result in results:
        s = result.settings
        code = "argmax" if s.temperature == 0 else f"expected code at {s.temperature:g}"
        how = f"guided, radius {s.radius}, eps {s.eps:g}" if s.refine == "guided" else s.refine
        parts.append(f"{result.task}: {code}, refine {how}")
    return "; ".join(parts) + "."


def write_report(directory: Path, title: str, results: Sequence[TaskResult], episodes: dict[str, Episodes]) -> None:
    """`results.md`, `results.json` and a grid per task."""
    directory.mkdir(parents=True, exist_ok=True)
    text = [
        f"# {title}",
        "",
        f"{results[0].episodes} held-out episodes a task, mean with 95 % bootstrap interval. IoU: higher is better; "
        "MSE in ImageNet-normalised space: lower is better.",
        "",
        "## With the answer settings chosen on validation episodes",
        "",
        settings_line(results),
        "",
        markdown(results, "chosen"),
        "",
        "## How much better the task vector is, paired by episode (positive is better)",
        "",
        markdown(results, "gains"),
        "",
        "## With the published settings (argmax, no refinement)",
        "",
        markdown(results, "published"),
        "",
    ]
    for result in results:
        grid(directory / f"{result.task}.png", result, episodes[result.task])
        text += [
            f"## {result.task}",
            "",
            f"![{result.task}: query, truth, one-shot, no vector, task vector]({result.task}.png)",
            "",
        ]
    (directory / "results.md").write_text("\n".join(text))
    (directory / "results.json").write_text(json.dumps([as_json(result) for result in results], indent=1) + "\n")


def as_json(result: TaskResult) -> dict[str, object]:
    """A result without its pictures."""
    return {
        "task": result.task,
        "metric": result.metric,
        "episodes": result.episodes,
        "settings": asdict(result.settings),
        "published": {name: asdict(value) for name, value in result.published.items()},
        "chosen": {name: asdict(value) for name, value in result.chosen.items()},
        "gains": {name: asdict(value) for name, value in result.gains.items()},
    }


def grid(path: Path, result: TaskResult, episodes: Episodes) -> None:
    """A PNG: one row an episode, one column a way to answer."""
    side = episodes.query.shape[1]
    rows = min(ROWS_SHOWN, len(episodes))
    width, height = len(GRID_COLUMNS) * (side + MARGIN) + MARGIN, rows * (side + MARGIN) + MARGIN + LABEL
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    for column, (label, way) in enumerate(GRID_COLUMNS):
        left = MARGIN + column * (side + MARGIN)
        pen.text((left, 2), label, fill="black")
        cells = _cells(label, way, result, episodes)
        for row in range(rows):
            sheet.paste(Image.fromarray(cells[row]), (left, LABEL + MARGIN + row * (side + MARGIN)))
    sheet.resize((2 * width, 2 * height), Image.Resampling.LANCZOS).save(path, optimize=True)


def _cells(label: str, way: str | None, result: TaskResult, episodes: Episodes) -> NDArray[np.uint8]:
    if way is not None:
        return result.pictures[way]
    return episodes.query if label == "query" else episodes.answer
