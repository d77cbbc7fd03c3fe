"""The two programs: which patches are seen, which are decoded, and where the answer is.

A program is a pure function of fixed shapes but for the batch.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import torch
from torch import Tensor

from engine.geometry import Geometry, Quadrant

ProgramName = Literal["zero_shot", "one_shot"]
EngineProgram = Literal["zero_shot", "one_shot", "classify"]
"""What an engine runs: the model's two programs, and an image tower with its heads."""


class Scope(StrEnum):
    """How much of the canvas the VQGAN decodes: everything as published, or the answer's quadrant alone."""

    CANVAS = "canvas"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Program:
    """Static token bookkeeping of one kind of input.

    `visible`: patch numbers the encoder sees. `covered`: patch numbers the decoder runs over, ascending.
    `answer`: positions of the answer's patches among `covered`, row-major.
    `groups`: per part (encoder, decoder) the tokens of each group at `group` granularity, class token first.
    """

    name: ProgramName
    visible: tuple[int, ...]
    covered: tuple[int, ...]
    answer: tuple[int, ...]
    encoder_groups: tuple[tuple[int, ...], ...]
    decoder_groups: tuple[tuple[int, ...], ...]

    @property
    def encoder_tokens(self) -> int:
        """Class token and visible patches."""
        return 1 + len(self.visible)

    @property
    def decoder_tokens(self) -> int:
        """Class token and covered patches."""
        return 1 + len(self.covered)

    def order(self) -> Tensor:
        """For each decoder token the encoder token it continues, or `encoder_tokens` for the mask token: [1+P]."""
        token_of = {patch: token for token, patch in enumerate(self.visible, start=1)}
        order = [0, *(token_of.get(patch, self.encoder_tokens) for patch in self.covered)]
        return torch.tensor(order, device="cpu")


def one_shot(geometry: Geometry) -> Program:
    """The classic prompt: example pair and query given."""
    visible, covered = geometry.visible_one_shot, tuple(range(geometry.patches))
    return _program("one_shot", geometry, visible, covered)


def zero_shot(geometry: Geometry) -> Program:
    """Only the query given; nothing is computed for the example row."""
    return _program("zero_shot", geometry, geometry.visible_zero_shot, geometry.lower_half)


def _program(name: ProgramName, geometry: Geometry, visible: tuple[int, ...], covered: tuple[int, ...]) -> Program:
    position = {patch: index for index, patch in enumerate(covered)}
    answer = tuple(position[patch] for patch in geometry.quadrant_patches[Quadrant.ANSWER])
    return Program(name, visible, covered, answer, _groups(geometry, visible), _groups(geometry, covered))


def _groups(geometry: Geometry, patches: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    token_of = {patch: token for token, patch in enumerate(patches, start=1)}
    groups: list[tuple[int, ...]] = [(0,)]
    for quadrant in geometry.quadrant_patches:
        tokens = tuple(token_of[patch] for patch in quadrant if patch in token_of)
        if tokens:
            groups.append(tokens)
    return tuple(groups)
