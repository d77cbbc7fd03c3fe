"""Views: what one cell of a prompt shows of a scene.

Each takes a batch of B scenes and gives pictures [B,3,H,W] in [0, 1].
"""

from collections.abc import Callable

import torch
from torch import Tensor

from artifacts.errors import DatasetError
from artifacts.tasks.scene import Scene
from engine.refine import LUMA

View = Callable[[Scene], Tensor]


def picture(scene: Scene) -> Tensor:
    """The picture itself."""
    return scene.picture


def dark(scene: Scene) -> Tensor:
    """Half the light, or what the scene says is left of it."""
    return scene.picture * (0.5 if scene.light is None else scene.light)


def gray(scene: Scene) -> Tensor:
    """Luma on all three channels."""
    weights = scene.picture.new_tensor(LUMA).view(1, 3, 1, 1)
    return (scene.picture * weights).sum(1, keepdim=True).expand_as(scene.picture)


def hole(scene: Scene) -> Tensor:
    """The picture with a black hole."""
    return scene.picture * (1 - scene.hole)


def dark_hole(scene: Scene) -> Tensor:
    """Less light, and a black hole."""
    return dark(scene) * (1 - scene.hole)


def mask(scene: Scene) -> Tensor:
    """White object on black."""
    return scene.mask.expand_as(scene.picture)


def inverse_mask(scene: Scene) -> Tensor:
    """Black object on white."""
    return 1 - mask(scene)


def tinted_mask(scene: Scene) -> Tensor:
    """Red object on blue."""
    return torch.cat([scene.mask, torch.zeros_like(scene.mask), 1 - scene.mask], 1)


def cutout(scene: Scene) -> Tensor:
    """The object in its own colours on black."""
    return scene.picture * scene.mask


def negative(scene: Scene) -> Tensor:
    """Inverted colours."""
    return 1 - scene.picture


def blank(scene: Scene) -> Tensor:
    """The picture with the object painted out in white."""
    return torch.maximum(scene.picture, scene.mask.expand_as(scene.picture))


def output(scene: Scene) -> Tensor:
    """What the data set pairs the picture with; raises DatasetError where it pairs nothing."""
    if scene.output is None:
        raise DatasetError("the data set does not hold pairs")
    return scene.output
