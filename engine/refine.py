"""Guided refinement: the answer gets the query's own edges, at any size.

A local affine model of the answer given the query's RGB (He, Sun and Tang, Guided Image Filtering, ECCV 2010)
is fitted on the cell and applied to the query at the size wanted (its coefficients are smooth and enlarge
well: He and Sun, Fast Guided Filter, 2015). The 3x3 systems are solved in closed form.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.errors import EngineError
from engine.task_vector import AnswerSettings

STRIP_PIXELS = 1 << 15
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601), as Pillow's mode L


@torch.inference_mode()
def refine_batch(answer: Tensor, query: Tensor, settings: AnswerSettings) -> Tensor:
    """Answers [B,3,h,w] and queries [B,3,H,W] in [0, 1] -> [B,3,H,W] in [0, 1].

    Not for what is made one by one: holes have their own size and place each, cuts have no batches.
    """
    match settings.refine:
        case "none":
            return resize(answer, query.shape[-2:])
        case "guided":
            return guided(answer, query, settings.radius, settings.eps, settings.smooth)
        case "luma":
            coloured = guided(answer, query, settings.radius, settings.eps, settings.smooth)
            return (_luma(query) + settings.chroma * (coloured - _luma(coloured))).clamp_(0, 1)
        case other:
            raise EngineError(f"refine {other!r} is not for batches")


def _luma(planes: Tensor) -> Tensor:
    """Brightness [B,1,H,W] of planes [B,3,H,W]."""
    return (planes * planes.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def guided(answer: Tensor, query: Tensor, radius: int, eps: float, smooth: int = 0) -> Tensor:
    """Fit answer ~ A query + b over windows of `radius` px of the answer; apply to the query at its own size.

    The tokenizer loses detail that the query has, which makes a fit's slopes too small (errors in variables). Smoothed
    alike, answer and query have the same detail: `smooth` px to each side, twice.
    """
    size = answer.shape[-2:]
    guide = F.interpolate(query, size, mode="area") if _larger(query, answer) else resize(query, size)
    if smooth:
        guide, answer = (_box(_box(planes, smooth), smooth) for planes in (guide, answer))
    slope, offset = _affine(guide, answer, radius, eps)
    return _apply(_box(torch.cat([slope, offset], 1), radius), query)


def _apply(coefficients: Tensor, query: Tensor) -> Tensor:
    """Coefficients [B,12,h,w] (slope, answer channel major, then offset), enlarged to the query [B,3,H,W] and applied.

    In strips of rows: twelve planes of a photograph's size at once would not fit a cache, nor small machines.
    """
    height, width = query.shape[-2:]
    low, high, share = _rows_between(coefficients.shape[2], height, query.device)
    out = torch.empty_like(query)
    step = max(1, STRIP_PIXELS // width)
    for top in range(0, height, step):
        rows = slice(top, top + step)
        strip = torch.lerp(coefficients[:, :, low[rows]], coefficients[:, :, high[rows]], share[rows, None])
        if strip.shape[3] != width:
            strip = F.interpolate(strip, (strip.shape[2], width), mode="bilinear", align_corners=False)
        pixels = query[:, :, rows]
        for channel in range(3):
            painted = strip[:, 9 + channel].clone()
            for source in range(3):
                painted.addcmul_(strip[:, 3 * channel + source], pixels[:, source])
            out[:, channel, rows] = painted.clamp_(0, 1)
    return out


def _rows_between(size: int, wanted: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """For each of `wanted` rows: the two of `size` rows it lies between, and how near the second (bilinear)."""
    place = ((torch.arange(wanted, device=device) + 0.5) * (size / wanted) - 0.5).clamp(0, size - 1)
    low = place.floor().long()
    return low, (low + 1).clamp(max=size - 1), place - low


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


def _box(x: Tensor, radius: int) -> Tensor:
    """Mean over the (2 radius + 1)-square around each pixel, cut at the border: [B,C,h,w]."""
    ones = x.new_ones(1, 1, *x.shape[-2:])
    return _sums(x, (radius, radius)) / _sums(ones, (radius, radius))


def _sums(x: Tensor, radius: tuple[int, int]) -> Tensor:
    """Sums over windows of 2 radius + 1 (rows, columns) around each pixel, in time independent of the radius.

    One name for every step: a photograph's planes are large, and none is kept longer than it is needed.
    """
    for axis, reach in ((2, radius[0]), (3, radius[1])):
        size = x.shape[axis]
        x = x.cumsum(axis)
        before = torch.zeros_like(x.narrow(axis, 0, 1)).expand(*_replaced(x.shape, axis, reach + 1))
        x = torch.cat([before, x, x.narrow(axis, size - 1, 1).expand(*_replaced(x.shape, axis, reach))], axis)
        x = x.narrow(axis, 2 * reach + 1, size) - x.narrow(axis, 0, size)
    return x


def _replaced(shape: tuple[int, ...], axis: int, size: int) -> list[int]:
    return [size if index == axis else length for index, length in enumerate(shape)]


def resize(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Planes [B,C,h,w] in [0, 1] -> [B,C,*size], bicubic."""
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size, mode="bicubic", align_corners=False, antialias=True).clamp_(0, 1)


def _larger(first: Tensor, second: Tensor) -> bool:
    return first.shape[-2] > second.shape[-2] and first.shape[-1] > second.shape[-1]
