"""One canvas through either program, with everything the reference recorded on the way."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.geometry import Quadrant
from engine.mae import Edit
from engine.model import IMAGENET_MEAN, IMAGENET_STD, MaeVqgan
from engine.program import Scope

Canvas = NDArray[np.float32]
Image = NDArray[np.uint8]
Edits = tuple[Edit | None, Edit | None]


@dataclass(frozen=True, slots=True)
class Run:
    """Logits [P,codes], latent [1+V,width], outputs of blocks [N,width], decoded canvas uint8 [S,S,3]."""

    logits: Tensor
    latent: Tensor
    encoder_blocks: list[Tensor]
    decoder_blocks: list[Tensor]
    image: Image


def normalised(canvas: Canvas) -> Tensor:
    """Canvas [3,S,S] in [0, 1] -> [1,3,S,S]; in float64 as the public code, rounded to float32 once."""
    mean, std = (np.asarray(c).reshape(3, 1, 1) for c in (IMAGENET_MEAN, IMAGENET_STD))
    return torch.from_numpy(((canvas - mean) / std).astype(np.float32))[None]


def tokenizer_input(canvas: Canvas) -> Tensor:
    """Canvas [3,S,S] in [0, 1] -> VQGAN input [1,3,S,S] in [-1, 1], by the public detour in float64."""
    mean, std = (np.asarray(c).reshape(3, 1, 1) for c in (IMAGENET_MEAN, IMAGENET_STD))
    restored = (canvas - mean) / std * std + mean
    return torch.from_numpy((2 * restored - 1).astype(np.float32))[None]


def program_input(model: MaeVqgan, name: str, canvas: Canvas) -> Tensor:
    """What a program takes: the whole canvas, or its query tile."""
    pixels = normalised(canvas)
    if name == "one_shot":
        return pixels
    rows, columns = model.geometry.tile_box(Quadrant.QUERY)
    return pixels[..., rows, columns]


@torch.inference_mode()
def run(model: MaeVqgan, name: str, canvas: Canvas, edits: Edits = (None, None)) -> Run:
    """Forward one canvas and decode it in parity mode: likeliest codes, whole canvas."""
    mae, pixels = model.mae, program_input(model, name, canvas)
    with Outputs(mae.blocks) as encoder, Outputs(mae.decoder_blocks) as decoder, Outputs([mae.norm]) as norm:
        logits = model.logits(name, pixels, *edits)
    decoded = model.decode(name, model.vectors(logits, torch.zeros(1)), Scope.CANVAS)
    return Run(logits[0], norm.rows[0], encoder.rows, decoder.rows, image(decoded)[0])


def image(decoded: Tensor) -> Image:
    """[B,3,H,W] in [0, 1] -> uint8 [B,H,W,3], truncated as published."""
    array: Image = (decoded * 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return array


class Outputs:
    """While entered, collects the outputs of modules, of the batch's first row, in the order they run."""

    def __init__(self, modules: nn.ModuleList | list[nn.LayerNorm]) -> None:
        self.modules = modules
        self.rows: list[Tensor] = []

    def __enter__(self) -> "Outputs":
        self._handles = [module.register_forward_hook(self._keep) for module in self.modules]
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _keep(self, module: nn.Module, inputs: object, output: Tensor) -> None:
        self.rows.append(output[0])
