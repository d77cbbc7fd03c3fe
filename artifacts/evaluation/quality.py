"""How an answer looks beside the truth: PSNR, SSIM, and the colour difference that people see.

All take answers and truths uint8 [B,H,W,3] and give float64 [B]. None needs a download.
"""

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from engine.geometry import Pixels

PSNR_LIMIT = 100.0
"""Decibels at which equal pictures are counted; their PSNR is infinite, which no mean survives."""


def psnr(answers: Pixels, truths: Pixels) -> NDArray[np.float64]:
    """Peak signal-to-noise ratio in dB, over all three channels; higher is better."""
    with np.errstate(divide="ignore"):
        every = [peak_signal_noise_ratio(b, a, data_range=255) for a, b in zip(answers, truths, strict=True)]
    return np.minimum(every, PSNR_LIMIT)


def ssim(answers: Pixels, truths: Pixels) -> NDArray[np.float64]:
    """Structural similarity with the constants and the Gaussian window of Wang et al. (2004); higher is better."""
    how = {"channel_axis": -1, "data_range": 255, "gaussian_weights": True, "use_sample_covariance": False}
    return np.asarray([structural_similarity(a, b, sigma=1.5, **how) for a, b in zip(answers, truths, strict=True)])


def colour_difference(answers: Pixels, truths: Pixels) -> NDArray[np.float64]:
    """Mean CIEDE2000 over pixels: 1 is about what an eye just sees; lower is better."""
    pairs = zip(answers, truths, strict=True)
    return np.asarray([float(deltaE_ciede2000(rgb2lab(a), rgb2lab(b)).mean()) for a, b in pairs])


def chroma_share(answers: Pixels, truths: Pixels) -> float:
    """How strong the answers' colours are beside the true ones: deviations over channels, means over all pixels."""
    return float(answers.std(-1).mean() / max(1e-9, truths.std(-1).mean()))


QUALITY = {"PSNR, dB ↑": psnr, "SSIM ↑": ssim, "CIEDE2000 ↓": colour_difference}
"""By the heading of their column."""
