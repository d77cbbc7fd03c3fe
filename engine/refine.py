"""Guided refinement: the answer gets the query's own edges, at any size.

A local affine model of the answer given the query's RGB (He, Sun and Tang, Guided Image Filtering, ECCV 2010)
is fitted on the cell and applied to the query at the size wanted (its coefficients are smooth and enlarge
well: He and Sun, Fast Guided Filter, 2015). The 3x3 systems are solved in closed form.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from engine.task_vector import AnswerSettings

Pixels = NDArray[np.uint8]
BLACK = 16 / 255  # below this in every channel a query pixel may belong to a hole
HOLE_SHARE = 0.2  # least side of a hole, as a share of the picture's: a quarter is published


def refine(answer: Pixels, query: Pixels, settings: AnswerSettings) -> Pixels:
    """Answer uint8 [cell,cell,3] -> uint8 [H,W,3] at the size of `query` uint8 [H,W,3]."""
    out = refine_batch(_planes(answer), _planes(query), settings)
    array: Pixels = (out[0] * 255).round().byte().permute(1, 2, 0).numpy()
    return np.ascontiguousarray(array)


@torch.inference_mode()
def refine_batch(answer: Tensor, query: Tensor, settings: AnswerSettings) -> Tensor:
    """Answers [B,3,h,w] and queries [B,3,H,W] in [0, 1] -> [B,3,H,W] in [0, 1]."""
    if settings.refine == "guided":
        return guided(answer, query, settings.radius, settings.eps)
    enlarged = _resize(answer, query.shape[-2:])
    if settings.refine == "hole":
        inside = hole_mask(query)
        return torch.where(inside, enlarged, query)
    return enlarged


def guided(answer: Tensor, query: Tensor, radius: int, eps: float) -> Tensor:
    """Fit answer ~ A query + b over windows of `radius` px of the answer; apply to the query at its own size."""
    guide = F.interpolate(query, answer.shape[-2:], mode="area") if _larger(query, answer) else query
    if guide.shape[-2:] != answer.shape[-2:]:
        guide = _resize(guide, answer.shape[-2:])
    slope, offset = _affine(guide, answer, radius, eps)
    slope, offset = (_box(t, radius) for t in (slope, offset))
    size = query.shape[-2:]
    if size != answer.shape[-2:]:
        slope, offset = (F.interpolate(t, size, mode="bilinear", align_corners=False) for t in (slope, offset))
    slope = slope.view(len(slope), 3, 3, *size)
    return ((slope * query[:, None]).sum(2) + offset).clamp(0, 1)


def _affine(guide: Tensor, answer: Tensor, radius: int, eps: float) -> tuple[Tensor, Tensor]:
    """Slope [B,9,h,w] (answer channel major) and offset [B,3,h,w] of the local least-squares fit."""
    i, j = (0, 0, 0, 1, 1, 2), (0, 1, 2, 1, 2, 2)
    products = torch.cat([guide[:, i] * guide[:, j], (answer[:, :, None] * guide[:, None]).flatten(1, 2)], 1)
    means = _box(torch.cat([guide, answer, products], 1), radius)
    mean_guide, mean_answer = means[:, :3], means[:, 3:6]
    variance = means[:, 6:12] - mean_guide[:, i] * mean_guide[:, j]
    covariance = means[:, 12:].view(len(guide), 3, 3, *guide.shape[-2:]) - mean_answer[:, :, None] * mean_guide[:, None]
    rr, rg, rb, gg, gb, bb = variance.unbind(1)
    rr, gg, bb = rr + eps, gg + eps, bb + eps
    inverse = torch.stack(
        [gg * bb - gb**2, gb * rb - rg * bb, rg * gb - gg * rb, rr * bb - rb**2, rb * rg - rr * gb, rr * gg - rg**2], 1
    )
    determinant = (rr * inverse[:, 0] + rg * inverse[:, 1] + rb * inverse[:, 2])[:, None]
    full = (inverse / determinant)[:, (0, 1, 2, 1, 3, 4, 2, 4, 5)].view(len(guide), 1, 3, 3, *guide.shape[-2:])
    slope = (covariance[:, :, None] * full).sum(3)
    offset = mean_answer - (slope * mean_guide[:, None]).sum(2)
    return slope.flatten(1, 2), offset


def hole_mask(query: Tensor) -> Tensor:
    """Bool [B,1,H,W]: black areas at least a fifth of the side wide and high (a morphological opening)."""
    black = (query.amax(1, keepdim=True) <= BLACK).float()
    radius = (int(query.shape[-2] * HOLE_SHARE) // 2, int(query.shape[-1] * HOLE_SHARE) // 2)
    area = (2 * radius[0] + 1) * (2 * radius[1] + 1)
    return _sums((_sums(black, radius) > area - 0.5).float(), radius) > 0.5


def _box(x: Tensor, radius: int) -> Tensor:
    """Mean over the (2 radius + 1)-square around each pixel, cut at the border: [B,C,h,w]."""
    ones = x.new_ones(1, 1, *x.shape[-2:])
    return _sums(x, (radius, radius)) / _sums(ones, (radius, radius))


def _sums(x: Tensor, radius: tuple[int, int]) -> Tensor:
    """Sums over windows of 2 radius + 1 (rows, columns) around each pixel, in time independent of the radius."""
    for axis, reach in ((2, radius[0]), (3, radius[1])):
        size = x.shape[axis]
        total = x.cumsum(axis)
        before = torch.zeros_like(total.narrow(axis, 0, 1)).expand(*_replaced(total.shape, axis, reach + 1))
        after = total.narrow(axis, size - 1, 1).expand(*_replaced(total.shape, axis, reach))
        reached = torch.cat([before, total, after], axis)
        x = reached.narrow(axis, 2 * reach + 1, size) - reached.narrow(axis, 0, size)
    return x


def _replaced(shape: tuple[int, ...], axis: int, size: int) -> list[int]:
    return [size if index == axis else length for index, length in enumerate(shape)]


def _resize(x: Tensor, size: tuple[int, ...]) -> Tensor:
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size, mode="bicubic", align_corners=False, antialias=True).clamp(0, 1)


def _larger(first: Tensor, second: Tensor) -> bool:
    return first.shape[-2] > second.shape[-2] and first.shape[-1] > second.shape[-1]


def _planes(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255
