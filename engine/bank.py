"""The bank: every resident task vector in tensors of fixed address."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from engine.config import MaeConfig
from engine.errors import EngineError
from engine.program import Program
from engine.task_vector import AnswerSettings, TaskVector, site_shapes

Copy = Callable[[Sequence[tuple[Tensor, Tensor]]], object]
"""Copies pairs (target, source): targets in the bank, sources on the host, of any type."""


def copy_pairs(pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Here and now."""
    for target, source in pairs:
        target.copy_(source)


class Bank:
    """Task vectors of one program in `slots` rows; slot 0 writes nothing.

    `encoder_value` [L,S,N,H,d] in the type the engine computes in, `encoder_mask` bool [L,S,N,H,1], likewise for the
    decoder, `temperature` float32 [S].
    Installs are in-place copies: the tensors keep their addresses for as long as the bank lives.
    """

    def __init__(
        self,
        config: MaeConfig,
        program: Program,
        slots: int,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if slots < 2:
            raise EngineError(f"a bank needs at least 2 slots, the no-op and one task, not {slots}")
        shapes = site_shapes(config, program)
        self.slots = slots
        self.encoder_value, self.encoder_mask = _rows(shapes["encoder"], slots, device, dtype)
        self.decoder_value, self.decoder_mask = _rows(shapes["decoder"], slots, device, dtype)
        self.temperature = torch.full((slots,), AnswerSettings().temperature, device=device)
        self._addresses = [tensor.data_ptr() for tensor in self.tensors()]

    def write(self, slot: int, vector: TaskVector, copy: Copy = copy_pairs) -> None:
        """Copy a checked task vector into a slot other than 0."""
        self._check_slot(slot)
        given = (
            vector.encoder_value,
            vector.encoder_mask[..., None],
            vector.decoder_value,
            vector.decoder_mask[..., None],
            torch.tensor([vector.answer.temperature]),
        )
        copy(list(zip(self.row(slot), given, strict=True)))

    def row(self, slot: int) -> tuple[Tensor, ...]:
        """What a slot holds, as views: value [L,N,H,d] and mask [L,N,H,1] of each part, temperature [1]."""
        *parts, temperature = self.tensors()
        return *(own[:, slot] for own in parts), temperature[slot : slot + 1]

    @property
    def row_bytes(self) -> int:
        """Of one slot."""
        return sum(own.numel() * own.element_size() for own in self.row(0))

    def clear(self, slot: int) -> None:
        """Make a slot other than 0 the no-op again."""
        self._check_slot(slot)
        *parts, temperature = self.row(slot)
        for own in parts:
            own.zero_()
        temperature.fill_(AnswerSettings().temperature)

    def check_integrity(self) -> None:
        """Raise EngineError unless slot 0 is the no-op, all values are finite and no tensor has moved.

        Reads the whole bank, and on a GPU waits for it: for when the engine is idle.
        """
        if self._addresses != [tensor.data_ptr() for tensor in self.tensors()]:
            raise EngineError("the bank has moved: compiled engines read another address")
        if any(bool(own[:, 0].any()) for own in self.tensors()[:4]):
            raise EngineError("slot 0 of the bank is no longer the no-op")
        for name, own in (("encoder", self.encoder_value), ("decoder", self.decoder_value)):
            if not bool(torch.isfinite(own).all()):
                raise EngineError(f"the bank's {name} values are not all finite")
        if not bool(((self.temperature >= 0) & (self.temperature <= 10)).all()):
            raise EngineError("a temperature in the bank is outside 0..10")

    def _check_slot(self, slot: int) -> None:
        if not 0 < slot < self.slots:
            raise EngineError(f"slot {slot} is not one of 1..{self.slots - 1}")

    def tensors(self) -> tuple[Tensor, ...]:
        """In the order the programs take them."""
        return self.encoder_value, self.encoder_mask, self.decoder_value, self.decoder_mask, self.temperature


def _rows(
    shape: tuple[int, int, int, int], slots: int, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    layers, tokens, heads, width = shape
    value = torch.zeros(layers, slots, tokens, heads, width, dtype=dtype, device=device)
    mask = torch.zeros(layers, slots, tokens, heads, 1, dtype=torch.bool, device=device)
    return value, mask
