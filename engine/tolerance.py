"""How far a backend may be from float32 eager, by the type it computes in, and a picture to see it on."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from engine.geometry import Pixels


@dataclass(frozen=True, slots=True)
class Tolerance:
    """`logits`: largest difference, as a share of the largest logit. `codes`: least share of equal likeliest codes.
    `psnr`: of an answer, in decibels, at least. `trained_psnr`: the same for the bundled model."""

    logits: float
    codes: float
    psnr: float
    trained_psnr: float


TOLERANCE: Final = {
    torch.float32: Tolerance(logits=1e-4, codes=0.995, psnr=60, trained_psnr=70),
    torch.float16: Tolerance(logits=0.01, codes=0.97, psnr=40, trained_psnr=55),
    torch.bfloat16: Tolerance(logits=0.1, codes=0.88, psnr=22, trained_psnr=34),
}
"""Random weights (the golden cases) turn a code that is chosen otherwise into other colours altogether; a trained
codebook has near codes, so that its answers are nearer. In bfloat16 the bundled model's are 53 decibels from float32's
(median of 78 photographs), but a mask whose edge may lie here or there is 37, and 35 of a picture of noise."""


def psnr(first: Pixels, second: Pixels) -> float:
    """Of two uint8 pictures or batches: decibels, infinite where they are equal."""
    error = float(np.square(first.astype(np.float64) - second).mean())
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def check_picture(side: int) -> Pixels:
    """Something of every frequency: uint8 [side,side,3]."""
    across = np.linspace(0, 1, side)
    waves = [np.sin(across[:, None] * 3 + across[None] * k**2 * 40 + k) for k in range(3)]
    return ((np.stack(waves, -1) + 1) * 127.5).astype(np.uint8)
