"""`vtv bench codecs`: which library should decode photos, shrink them and encode answers.

Processor time of one thread and one image, and how far the shrunken picture is from what the paper's way gives
(full decoding, Pillow's bicubic filter): mean difference in grey levels. Of what is small, the smaller is better.
"""

import io
import json
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from statistics import median
from time import thread_time
from typing import Any, Final

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from artifacts.console import say
from artifacts.pictures.limits import COMMANDS_LIMITS
from artifacts.pictures.read import read
from artifacts.pictures.resize import resized
from artifacts.pictures.write import encode
from benchmarks.sample import picture_file
from benchmarks.traffic import at_size
from engine.geometry import Pixels

_SIDES: Final = {"0.1 MP": 320, "2 MP": 1600, "12 MP": 4000}
_CELL, _ANSWER = 111, 112
_PNG: Final = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY)


@dataclass(frozen=True, slots=True)
class Measured:
    """One way of doing one thing."""

    what: str
    how: str
    milliseconds: float
    difference: float | None = None
    """Mean grey levels from the reference; of what is read."""
    size: int | None = None
    """Bytes; of what is written."""


def main(asked: Namespace) -> int:
    """The command."""
    image = picture_file(asked.image)
    rows: list[Measured] = []
    for name, side in _SIDES.items():
        say(f"reading {name}, {asked.repeat} times each way")
        rows += _reading(name, image if side == min(_SIDES.values()) else at_size(image, side), asked.repeat)
    rows += _writing("photo", resized(read(image, COMMANDS_LIMITS), _ANSWER), asked.repeat)
    rows += _writing("mask", _mask(), asked.repeat)
    report = {"libraries": _libraries(), "rows": [asdict(row) for row in rows]}
    if asked.output:
        asked.output.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report) if asked.json else _table(rows))
    return 0


def _reading(name: str, file: bytes, repeat: int) -> list[Measured]:
    """A JPEG to a cell's picture."""
    reference = _pillow(file).astype(int)
    ways: dict[str, Callable[[], Pixels]] = {
        "Pillow": lambda: _pillow(file),
        "Pillow, scaled decoding to twice the side": lambda: _pillow(file, 2 * _ANSWER),
        "OpenCV, area": lambda: _opencv(file),
        "simplejpeg, resized by Pillow": lambda: _shrunk(simplejpeg.decode_jpeg(file)),
        "simplejpeg, resized by torch": lambda: resized(simplejpeg.decode_jpeg(file), _CELL),
        "the service's": lambda: resized(read(file, COMMANDS_LIMITS, _ANSWER), _CELL),
    }
    return [
        Measured(f"read {name}", how, _milliseconds(way, repeat), float(np.abs(way().astype(int) - reference).mean()))
        for how, way in ways.items()
    ]


def _writing(name: str, answer: Pixels, repeat: int) -> list[Measured]:
    """An answer to a file."""
    ways: dict[str, Callable[[], bytes]] = {
        "PNG, Pillow, level 6": lambda: _saved(answer, "PNG", compress_level=6),
        "PNG, Pillow, level 1": lambda: _saved(answer, "PNG", compress_level=1),
        "PNG, OpenCV, level 1, default strategy": lambda: _opencv_png(answer, cv2.IMWRITE_PNG_STRATEGY_DEFAULT),
        "PNG, OpenCV, level 1, Huffman only": lambda: _opencv_png(answer, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY),
        "PNG, OpenCV, level 1, run lengths": lambda: _opencv_png(answer, cv2.IMWRITE_PNG_STRATEGY_RLE),
        "PNG, the service's": lambda: encode(answer, "png"),
        "WebP, Pillow, 90, method 0": lambda: _saved(answer, "WEBP", quality=90, method=0),
        "WebP, OpenCV, 90": lambda: cv2.imencode(".webp", answer, (cv2.IMWRITE_WEBP_QUALITY, 90))[1].tobytes(),
        "JPEG, Pillow, 92": lambda: _saved(answer, "JPEG", quality=92),
        "JPEG, the service's": lambda: encode(answer, "jpeg"),
    }
    return [Measured(f"write {name}", how, _milliseconds(way, repeat), size=len(way())) for how, way in ways.items()]


def _pillow(file: bytes, at_least: int | None = None) -> Pixels:
    image = Image.open(io.BytesIO(file))
    if at_least:
        image.draft("RGB", (at_least, at_least))
    return _shrunk(np.asarray(image.convert("RGB")))


def _shrunk(pixels: Pixels) -> Pixels:
    return np.array(Image.fromarray(pixels).resize((_CELL, _CELL), Image.Resampling.BICUBIC))


def _opencv(file: bytes) -> Pixels:
    pixels = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    small = cv2.resize(pixels, (_CELL, _CELL), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8)


def _saved(pixels: Pixels, file_format: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, **options)
    return buffer.getvalue()


def _opencv_png(pixels: Pixels, strategy: int) -> bytes:
    return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), (*_PNG, strategy))[1].tobytes()


def _mask() -> Pixels:
    """A white disc on black, as segmentation answers."""
    rows, columns = np.mgrid[:_ANSWER, :_ANSWER] - _ANSWER // 2
    inside = (rows**2 + columns**2 < (_ANSWER // 3) ** 2)[..., None]
    return np.repeat(inside, 3, 2).astype(np.uint8) * 255


def _milliseconds(call: Callable[[], Any], repeat: int) -> float:
    call()
    times = []
    for _ in range(repeat):
        started = thread_time()
        call()
        times.append(thread_time() - started)
    return 1e3 * median(times)


def _libraries() -> dict[str, str]:
    return {name: version(name) for name in ("pillow", "opencv-python-headless", "simplejpeg", "torch")}


def _table(rows: Sequence[Measured]) -> str:
    lines = [f"{'':<14}{'':<44}{'ms':>8}{'difference':>12}{'bytes':>9}"]
    for row in rows:
        difference = f"{row.difference:.2f}" if row.difference is not None else ""
        lines.append(f"{row.what:<14}{row.how:<44}{row.milliseconds:>8.3f}{difference:>12}{row.size or '':>9}")
    return "\n".join(lines)
