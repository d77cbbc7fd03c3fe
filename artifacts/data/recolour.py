"""Pictures in other colours, for tasks whose answer a model may remember instead of painting it."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from artifacts.data.scenes import Scenes

_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32)  # NTSC 1953
_TO_RGB = np.linalg.inv(_TO_YIQ)


def recoloured(scenes: Scenes, seed: int) -> Scenes:
    """The same scenes, each with its hues turned by a random angle; luma stays, but for what is clipped."""
    angles = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(scenes))
    pictures = [_turned(picture, angle) for picture, angle in zip(scenes.pictures, angles, strict=True)]
    return replace(scenes, pictures=np.stack(pictures))


def _turned(picture: NDArray[np.uint8], angle: float) -> NDArray[np.uint8]:
    """uint8 [H,W,3] with chroma turned by `angle` radians."""
    turn = np.eye(3, dtype=np.float32)
    turn[1:, 1:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    colours = picture @ (_TO_RGB @ turn @ _TO_YIQ).T
    return colours.clip(0, 255).round().astype(np.uint8)
