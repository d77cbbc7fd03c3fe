"""One folder of golden numbers and one model: inputs, and runs that several cases need."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from artifacts.collect.means import Means
from artifacts.paths import BUNDLED
from engine.model import MaeVqgan
from engine.overrides import record
from parity.checks import Arrays
from parity.forward import Canvas, Image, Run, program_input, run, tokenizer_input
from parity.injection import Sample, edits, site_masks


class Missing(Exception):
    """An input a case needs is not there; the text names it."""


class Session:
    """Reads `directory/size/CASE.npz`; canvases come from it, a sibling, or the bundled public ones."""

    def __init__(self, directory: Path, size: str, model: MaeVqgan) -> None:
        self.directory, self.folder, self.model = directory, directory / size, model
        self.codes = cache(self._codes)
        self.heads = cache(self._heads)
        self.means = cache(self._means)
        self.run = cache(self._run)

    def arrays(self, case: str) -> Arrays:
        """All arrays of a case."""
        path = self.folder / f"{case}.npz"
        if not path.is_file():
            raise Missing(f"{path.name} is missing")
        return read_arrays(path)

    def canvas(self, name: str) -> Canvas:
        """Float32 [3,S,S] in [0, 1]."""
        return self._input(f"{name}/canvas")

    def original(self, name: str) -> Image:
        """The canvas as the public code's metrics see it: uint8 [S,S,3]."""
        return self._input(f"{name}/original_int")

    def _input(self, key: str) -> NDArray[Any]:
        near = [self.directory, *sorted(p for p in self.directory.resolve().parent.iterdir() if p.is_dir())]
        for path in [*(p / "canvases.npz" for p in near), BUNDLED / "parity" / "canvases.npz"]:
            if path.is_file():
                with np.load(path, allow_pickle=False) as archive:
                    if key in archive.files:
                        array: NDArray[Any] = archive[key]
                        return array
        raise Missing(f"no canvases.npz holds {key}")

    def _codes(self, name: str) -> Tensor:
        """VQGAN codes of a whole canvas: int64 [196]."""
        with torch.inference_mode():
            return self.model.vae.encode(tokenizer_input(self.canvas(name)))[0]

    def _heads(self, name: str) -> tuple[Tensor, Tensor]:
        """Head outputs of the one-shot run: encoder [L,N,H,d] and decoder."""
        encoder: list[Tensor] = []
        decoder: list[Tensor] = []
        pixels = program_input(self.model, "one_shot", self.canvas(name))
        with torch.inference_mode():
            self.model.logits("one_shot", pixels, record(encoder), record(decoder))
        return torch.cat(encoder), torch.cat(decoder)

    def _means(self, digits: str) -> Means:
        """Running mean over canvases, e.g. `01` for c0 and c1, in that order, in float32."""
        encoder, decoder = self.heads(f"c{digits[0]}")
        for count, digit in enumerate(digits[1:], start=1):
            new = self.heads(f"c{digit}")
            encoder = (encoder * count + new[0]) / (count + 1)
            decoder = (decoder * count + new[1]) / (count + 1)
        return Means(encoder, decoder, "golden", "", len(digits))

    @property
    def injected(self) -> str:
        """Which mean this folder injects: the one its activations hold, else by the canvases it knows."""
        path = self.folder / "case2_activations.npz"
        names = read_arrays(path) if path.is_file() else {}
        for name in names:
            if name.startswith("mean"):
                return name.split("/")[0].removeprefix("mean")
        own = self.directory / "canvases.npz"
        return "012" if own.is_file() and "c2/canvas" in read_arrays(own) else "01"

    def _run(self, case: str, name: str) -> Run:
        """The run a prompt case records for a canvas."""
        program = "one_shot" if "oneshot" in case else "zero_shot"
        if "inject" not in case:
            return run(self.model, program, self.canvas(name))
        arrays = self.arrays(case)
        return self.inject(program, int(arrays["granularity"]), arrays["sample"], name)

    def inject(self, program: str, granularity: int, sample: Sample, name: str) -> Run:
        """A run that writes this folder's mean at the sites a sample switches on."""
        masks = site_masks(self.model, program, granularity, sample)
        overrides = edits(self.model, program, self.means(self.injected), masks)
        return run(self.model, program, self.canvas(name), overrides)


def read_arrays(path: Path) -> Arrays:
    """Every array of an .npz file; pickled objects are refused."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def canvases_of(arrays: Arrays) -> list[str]:
    """The canvases a case holds: c0, c1, ..."""
    return sorted({name.split("/")[0] for name in arrays if name.startswith("c") and "/" in name})
