"""The two programs as pure functions of uint8 pixels, slots and the bank: what every backend compiles.

Weights are frozen constants. The bank is an input, never a buffer: compilers fold buffers into constants, and a
task could no longer be installed.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.model import MaeVqgan
from engine.overrides import write_slots
from engine.program import Scope
from engine.task_vector import AnswerSettings


@dataclass(frozen=True, slots=True)
class Buffers:
    """What one compiled bucket reads and writes, at addresses that never change.

    `inputs`: pixels uint8 [B,side,side,3], then for zero-shot slot int64 [B] and the bank's tensors.
    `output`: answers uint8 [B,cell,cell,3].
    """

    inputs: tuple[Tensor, ...]
    output: Tensor

    @property
    def bucket(self) -> int:
        """Rows."""
        return self.output.shape[0]

    @property
    def pixels(self) -> Tensor:
        """The pictures."""
        return self.inputs[0]

    @property
    def slot(self) -> Tensor | None:
        """Which row of the bank each picture uses, where the program has overrides."""
        return self.inputs[1] if len(self.inputs) > 1 else None


class ZeroShot(nn.Module):
    """Query tiles uint8 [B,T,T,3], slots int64 [B], the bank's tensors -> answers uint8 [B,cell,cell,3]."""

    name = "zero_shot"
    inputs = ("pixels", "slot", "encoder_value", "encoder_mask", "decoder_value", "decoder_mask", "temperature")

    def __init__(self, model: MaeVqgan, scope: Scope) -> None:
        super().__init__()
        self.model, self.scope = model, scope
        self.side, self.cell = model.geometry.tile, model.geometry.cell

    def forward(
        self,
        pixels: Tensor,
        slot: Tensor,
        encoder_value: Tensor,
        encoder_mask: Tensor,
        decoder_value: Tensor,
        decoder_mask: Tensor,
        temperature: Tensor,
    ) -> Tensor:
        logits = self.model.logits(
            self.name,
            _planes(self.model, pixels),
            write_slots(encoder_value, encoder_mask, slot),
            write_slots(decoder_value, decoder_mask, slot),
        )
        return _answer(self.model, self.name, logits, temperature.index_select(0, slot), self.scope)


class OneShot(nn.Module):
    """Canvases uint8 [B,S,S,3] whose answer is empty -> answers uint8 [B,cell,cell,3]."""

    name = "one_shot"
    inputs = ("pixels",)

    def __init__(self, model: MaeVqgan, scope: Scope) -> None:
        super().__init__()
        self.model, self.scope = model, scope
        self.side, self.cell = model.geometry.image_size, model.geometry.cell

    def forward(self, pixels: Tensor) -> Tensor:
        logits = self.model.logits(self.name, _planes(self.model, pixels))
        temperature = pixels.new_full((pixels.shape[0],), AnswerSettings().temperature, dtype=torch.float32)
        return _answer(self.model, self.name, logits, temperature, self.scope)


Network = ZeroShot | OneShot


def buffers(network: Network, bucket: int, bank: tuple[Tensor, ...], device: torch.device) -> Buffers:
    """Zeroed buffers of one bucket on `device`; `bank` is shared by all buckets."""
    pixels = torch.zeros(bucket, network.side, network.side, 3, dtype=torch.uint8, device=device)
    output = torch.zeros(bucket, network.cell, network.cell, 3, dtype=torch.uint8, device=device)
    if isinstance(network, OneShot):
        return Buffers((pixels,), output)
    return Buffers((pixels, torch.zeros(bucket, dtype=torch.int64, device=device), *bank), output)


def in_dtype(model: MaeVqgan, dtype: torch.dtype) -> MaeVqgan:
    """The same model computing in `dtype`; pixels are normalised and codes weighed in float32 all the same."""
    if model.vae.codebook.dtype == dtype:
        return model
    out = copy.deepcopy(model).to(dtype)
    nn.utils.convert_conv2d_weight_memory_format(out, torch.channels_last)  # as half-precision kernels want them
    out.mean, out.std = model.mean.clone(), model.std.clone()
    return out


def _planes(model: MaeVqgan, pixels: Tensor) -> Tensor:
    """uint8 [B,H,W,3] -> normalised [B,3,H,W] in the model's own type."""
    return model.normalise(pixels.float().permute(0, 3, 1, 2) / 255).to(model.vae.codebook.dtype)


def _answer(model: MaeVqgan, name: str, logits: Tensor, temperature: Tensor, scope: Scope) -> Tensor:
    vectors = model.vectors(logits.float(), temperature)
    cell = model.answer_cell(model.decode(name, vectors, scope)).float()
    return (cell * 255).round().permute(0, 2, 3, 1).to(torch.uint8)
