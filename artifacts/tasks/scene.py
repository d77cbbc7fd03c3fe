"""What views are made from: batches of pictures, foreground masks and holes, as tensors."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Scene:
    """A batch of pictures [B,3,H,W] in [0, 1], foreground masks [B,1,H,W] in {0, 1}, and each row's hole [B,1,H,W].

    `output` [B,3,H,W]: what a data set of pairs gives beside the picture. `light` [B,1,1,1]: what is left of the light
    in the dark, where it is not half.
    """

    picture: Tensor
    mask: Tensor
    hole: Tensor
    output: Tensor | None = None
    light: Tensor | None = None


def hole_masks(rows: Tensor, columns: Tensor, side: int) -> Tensor:
    """Squares of a quarter of the side with their corner at (rows, columns) [B] -> [B,1,side,side] in {0, 1}."""
    length = side // 4
    line = torch.arange(side)
    inside = [(line >= start[:, None]) & (line < start[:, None] + length) for start in (rows, columns)]
    return (inside[0][:, None, :, None] & inside[1][:, None, None, :]).float()


def random_holes(count: int, side: int, generator: torch.Generator) -> Tensor:
    """`count` squares at uniform places wholly inside: [count,1,side,side]."""
    corner = torch.randint(0, side - side // 4 + 1, (2, count), generator=generator)
    return hole_masks(corner[0], corner[1], side)
