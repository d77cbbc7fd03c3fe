"""The bank: every resident task vector in tensors of fixed address."""

import torch
from torch import Tensor

from engine.config import MaeConfig
from engine.errors import EngineError
from engine.program import Program
from engine.task_vector import AnswerSettings, TaskVector, site_shapes


class Bank:
    """Task vectors of one program in `slots` rows; slot 0 writes nothing.

    `encoder_value` [L,S,N,H,d], `encoder_mask` bool [L,S,N,H,1], likewise for the decoder, `temperature` [S].
    Installs are in-place copies: the tensors keep their addresses for as long as the bank lives.
    """

    def __init__(self, config: MaeConfig, program: Program, slots: int, device: torch.device) -> None:
        if slots < 2:
            raise EngineError(f"a bank needs at least 2 slots, the no-op and one task, not {slots}")
        shapes = site_shapes(config, program)
        self.slots = slots
        self.encoder_value, self.encoder_mask = _rows(shapes["encoder"], slots, device)
        self.decoder_value, self.decoder_mask = _rows(shapes["decoder"], slots, device)
        self.temperature = torch.full((slots,), AnswerSettings().temperature, device=device)

    def write(self, slot: int, vector: TaskVector) -> None:
        """Copy a checked task vector into a slot other than 0."""
        if not 0 < slot < self.slots:
            raise EngineError(f"slot {slot} is not one of 1..{self.slots - 1}")
        for own, given in (
            (self.encoder_value, vector.encoder_value),
            (self.encoder_mask, vector.encoder_mask[..., None]),
            (self.decoder_value, vector.decoder_value),
            (self.decoder_mask, vector.decoder_mask[..., None]),
        ):
            own[:, slot].copy_(given)
        self.temperature[slot] = vector.answer.temperature

    def tensors(self) -> tuple[Tensor, ...]:
        """In the order the programs take them."""
        return self.encoder_value, self.encoder_mask, self.decoder_value, self.decoder_mask, self.temperature


def _rows(shape: tuple[int, int, int, int], slots: int, device: torch.device) -> tuple[Tensor, Tensor]:
    layers, tokens, heads, width = shape
    value = torch.zeros(layers, slots, tokens, heads, width, device=device)
    mask = torch.zeros(layers, slots, tokens, heads, 1, dtype=torch.bool, device=device)
    return value, mask
