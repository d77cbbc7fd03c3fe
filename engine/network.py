"""The two programs as pure functions of uint8 pixels, slots and the bank: what every backend compiles.

Weights are frozen constants. The bank is an input, never a buffer: compilers fold buffers into constants, and a
task could no longer be installed.
"""

import copy
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, Self

import torch
from torch import Tensor, nn

from engine.model import MaeVqgan
from engine.overrides import write_slots
from engine.program import Scope
from engine.task_vector import AnswerSettings, site_shapes

BATCH: Final = "batch"
SLOTS: Final = "slots"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input of a network. Its sizes are numbers, but for the batch and the bank's slots."""

    name: str
    sizes: tuple[int | Literal["batch", "slots"], ...]
    dtype: torch.dtype

    def shape(self, batch: int, slots: int) -> tuple[int, ...]:
        """For so many rows and slots."""
        of = {BATCH: batch, SLOTS: slots}
        return tuple(size if isinstance(size, int) else of[size] for size in self.sizes)


@dataclass(frozen=True, slots=True)
class Buffers:
    """What one compiled bucket reads and writes, at addresses that never change.

    `inputs`: pixels uint8 [B,side,side,3], then where there are overrides slot int64 [B] and the bank's tensors.
    `output`: answers, for MAE-VQGAN uint8 [B,cell,cell,3].
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


class Network(nn.Module):
    """What backends compile: a pure function of tensors whose shapes are fixed but for the batch and the slots.

    `specs` says what it takes: first what is given for each batch (pixels, and with overrides the slots), then the
    bank. It returns one tensor with a row for each of the batch, uint8 [cell,cell,3] unless `row` and `output_dtype`
    say otherwise.
    """

    name: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]
    side: int
    row: tuple[int, ...]
    output_dtype: torch.dtype = torch.uint8
    parts_per_thread: ClassVar[int] = 1
    """In how many parts a backend that computes rows side by side may divide a batch, for each thread: more even out
    what a thread loses to other work, and read the weights more often."""

    def specs(self, bank_dtype: torch.dtype) -> tuple[TensorSpec, ...]:
        """Its inputs, in their order."""
        raise NotImplementedError

    def with_output(self, dtype: torch.dtype) -> Self:
        """The same function, weights shared, whose last step leaves its whole numbers in `dtype`."""
        out = copy.copy(self)
        out.output_dtype = dtype
        return out

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return next(self.parameters()).dtype

    @property
    def device(self) -> torch.device:
        """Of the weights."""
        return next(self.parameters()).device


class _MaeVqganNetwork(Network):
    """Either program: pixels uint8 [B,side,side,3] -> answers uint8 [B,cell,cell,3]."""

    def __init__(self, model: MaeVqgan, scope: Scope) -> None:
        super().__init__()
        self.model, self.scope = model, scope
        self.row = (model.geometry.cell, model.geometry.cell, 3)

    def _planes(self, pixels: Tensor) -> Tensor:
        """uint8 [B,H,W,3] -> normalised [B,3,H,W] in the model's own type."""
        return self.model.normalise(pixels.float().permute(0, 3, 1, 2) / 255).to(self.dtype)

    def _answer(self, logits: Tensor, temperature: Tensor) -> Tensor:
        vectors = self.model.vectors(logits.float(), temperature)
        cell = self.model.answer_cell(self.model.decode(self.name, vectors, self.scope)).float()
        return (cell * 255).round().permute(0, 2, 3, 1).to(self.output_dtype)


class ZeroShot(_MaeVqganNetwork):
    """Query tiles uint8 [B,T,T,3], slots int64 [B], the bank's tensors -> answers uint8 [B,cell,cell,3]."""

    name = "zero_shot"
    inputs = ("pixels", "slot", "encoder_value", "encoder_mask", "decoder_value", "decoder_mask", "temperature")

    def __init__(self, model: MaeVqgan, scope: Scope) -> None:
        super().__init__(model, scope)
        self.side = model.geometry.tile

    def specs(self, bank_dtype: torch.dtype) -> tuple[TensorSpec, ...]:
        """Pixels and slots, then the bank as `engine.bank` lays it out."""
        shapes = site_shapes(self.model.config.mae, self.model.program(self.name))
        bank: list[TensorSpec] = []
        for part, (layers, tokens, heads, width) in shapes.items():
            bank.append(TensorSpec(f"{part}_value", (layers, SLOTS, tokens, heads, width), bank_dtype))
            bank.append(TensorSpec(f"{part}_mask", (layers, SLOTS, tokens, heads, 1), torch.bool))
        return (
            TensorSpec("pixels", (BATCH, self.side, self.side, 3), torch.uint8),
            TensorSpec("slot", (BATCH,), torch.int64),
            *bank,
            TensorSpec("temperature", (SLOTS,), torch.float32),
        )

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
            self._planes(pixels),
            write_slots(encoder_value, encoder_mask, slot),
            write_slots(decoder_value, decoder_mask, slot),
            scope=self.scope,
        )
        return self._answer(logits, temperature.index_select(0, slot))


class OneShot(_MaeVqganNetwork):
    """Canvases uint8 [B,S,S,3] whose answer is empty -> answers uint8 [B,cell,cell,3]."""

    name = "one_shot"
    inputs = ("pixels",)

    def __init__(self, model: MaeVqgan, scope: Scope) -> None:
        super().__init__(model, scope)
        self.side = model.geometry.image_size

    def specs(self, bank_dtype: torch.dtype) -> tuple[TensorSpec, ...]:
        """Pixels alone."""
        return (TensorSpec("pixels", (BATCH, self.side, self.side, 3), torch.uint8),)

    def forward(self, pixels: Tensor) -> Tensor:
        logits = self.model.logits(self.name, self._planes(pixels), scope=self.scope)
        temperature = pixels.new_full((pixels.shape[0],), AnswerSettings().temperature, dtype=torch.float32)
        return self._answer(logits, temperature)


def buffers(network: Network, bucket: int, bank: tuple[Tensor, ...], device: torch.device) -> Buffers:
    """Zeroed buffers of one bucket on `device`; `bank` is shared by all buckets."""
    pixels = torch.zeros(bucket, network.side, network.side, 3, dtype=torch.uint8, device=device)
    output = torch.zeros(bucket, *network.row, dtype=network.output_dtype, device=device)
    if len(network.inputs) == 1:
        return Buffers((pixels,), output)
    return Buffers((pixels, torch.zeros(bucket, dtype=torch.int64, device=device), *bank), output)


def examples(
    network: Network, rows: int, slots: int, bank_dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, ...]:
    """Zeroed inputs of a network, to trace it with."""
    specs = network.specs(bank_dtype)
    return tuple(torch.zeros(spec.shape(rows, slots), dtype=spec.dtype, device=device) for spec in specs)


def in_dtype(model: MaeVqgan, dtype: torch.dtype) -> MaeVqgan:
    """The same model computing in `dtype`; pixels are normalised and codes weighed in float32 all the same."""
    if model.vae.codebook.dtype == dtype:
        return model
    out = copy.deepcopy(model).to(dtype)
    nn.utils.convert_conv2d_weight_memory_format(out, torch.channels_last)  # as half-precision kernels want them
    out.mean, out.std = model.mean.clone(), model.std.clone()
    return out
