"""Picture grids that people look at: a row an episode, a column a way to answer."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from artifacts.data.episodes import Episodes
from artifacts.evaluation.table import TaskResult
from artifacts.evaluation.ways import BARE, ONE_SHOT, VECTOR

ROWS_SHOWN = 6
MARGIN, LABEL = 4, 16
GRID_COLUMNS = (("query", None), ("truth", None), ("one-shot", ONE_SHOT), ("no vector", BARE), ("task vector", VECTOR))


def grid(path: Path, result: TaskResult, episodes: Episodes) -> None:
    """A PNG: one row an episode, one column a way to answer."""
    columns = [(label, way) for label, way in GRID_COLUMNS if way is None or way in result.pictures]
    side = episodes.query.shape[1]
    rows = min(ROWS_SHOWN, len(episodes))
    width, height = len(columns) * (side + MARGIN) + MARGIN, rows * (side + MARGIN) + MARGIN + LABEL
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    for column, (label, way) in enumerate(columns):
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
