"""Tasks: how a (picture, mask) pair becomes a (query, answer) pair.

A view turns pictures into what one cell shows; a task is a pair of views. The five published tasks and
the two published composites are named; `CROSS_TASKS` pairs the same views otherwise, so that in training
a query alone does not tell what is asked. Adding a task is adding a line.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from artifacts.errors import DatasetError

GRAY_WEIGHTS = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow's mode L


@dataclass(frozen=True, slots=True)
class Scene:
    """A batch of pictures [B,3,H,W] in [0, 1], foreground masks [B,1,H,W] in {0, 1}, and each row's hole [B,1,H,W].

    `output` [B,3,H,W]: what a data set of pairs gives beside the picture.
    """

    picture: Tensor
    mask: Tensor
    hole: Tensor
    output: Tensor | None = None


View = Callable[[Scene], Tensor]


def picture(scene: Scene) -> Tensor:
    """The picture itself."""
    return scene.picture


def dark(scene: Scene) -> Tensor:
    """Half the light."""
    return scene.picture * 0.5


def gray(scene: Scene) -> Tensor:
    """Luma on all three channels."""
    weights = scene.picture.new_tensor(GRAY_WEIGHTS).view(1, 3, 1, 1)
    return (scene.picture * weights).sum(1, keepdim=True).expand_as(scene.picture)


def hole(scene: Scene) -> Tensor:
    """The picture with a black square of a quarter of the side."""
    return scene.picture * (1 - scene.hole)


def dark_hole(scene: Scene) -> Tensor:
    """Half the light, and the black square."""
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


@dataclass(frozen=True, slots=True)
class Task:
    """A named pair of views; `metric` is `iou` (higher is better) or `mse` (lower is better).

    `refinements` are what may be tried on its answers (`engine.task_vector.REFINEMENTS`). `recolour`: vectors are
    made and chosen on pictures in other colours, as the model may remember those that it was trained on.
    """

    name: str
    source: View
    target: View
    metric: str
    description: str
    refinements: tuple[str, ...] = ("guided",)
    recolour: bool = False


_PUBLISHED = (
    Task("segmentation", picture, mask, "iou", "White where the object is, black elsewhere."),
    Task("lowlight_enhance", dark, picture, "mse", "A picture taken in half the light, brightened."),
    Task("identity", picture, picture, "mse", "The picture again: what the model can paint at best."),
    Task("inpaint", hole, picture, "mse", "The black square filled in.", ("hole",)),
    Task("colorization", gray, picture, "mse", "A gray picture in colour.", recolour=True),
)
_COMPOSITES = (
    Task(
        "lowlight_inpaint", dark_hole, picture, "mse", "A dark picture with a black square, brightened and filled in."
    ),
    Task("segmentation_inpaint", hole, mask, "iou", "The object's mask, from a picture with a black square."),
)
TASKS: dict[str, Task] = {task.name: task for task in _PUBLISHED}
COMPOSITES: dict[str, Task] = {task.name: task for task in _COMPOSITES}


def pair_task(name: str) -> Task:
    """A task that pairs of pictures define; a known task's name keeps its metric, any other is scored by `mse`."""
    known = {**TASKS, **COMPOSITES}.get(name)
    if known is not None:
        return replace(known, source=picture, target=output, recolour=False)
    return Task(name, picture, output, "mse", "A task taught by pairs of pictures.")


CROSS_TASKS: tuple[tuple[View, View], ...] = (
    (gray, gray),
    (gray, mask),
    (gray, dark),
    (dark, dark),
    (dark, mask),
    (dark, gray),
    (hole, hole),
    (hole, mask),
    (dark_hole, picture),
    (picture, gray),
    (picture, dark),
    (picture, negative),
    (picture, inverse_mask),
    (picture, tinted_mask),
    (picture, cutout),
    (picture, blank),
)


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
