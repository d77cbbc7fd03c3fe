"""A task vector: mean head outputs, where to write them, and how to read the answer."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.confidence import Confidence
from engine.config import MaeConfig
from engine.errors import EngineError, ModelMismatch
from engine.program import Program

REFINEMENTS = ("none", "guided", "grabcut", "hole", "luma")
ONE_BY_ONE = ("grabcut", "hole")
"""Refinements made on the processor, a picture at a time, whatever the model runs on."""
OTSU = "otsu"


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """From logits to the answer.

    `temperature` 0 takes the likeliest code, above it the expected code. `refine`: `none`; `guided`, a local
    affine model of the answer given the query over windows of `radius` pixels of the cell, regularised by
    `eps` (in units of [0, 1] colours squared), fitted on both smoothed over `smooth` pixels to each side; `grabcut`,
    for masks, the object that GrabCut finds in the query from the guided answer; `hole`, the query everywhere but in
    its hole, where `detail` times the answer's structure continues the hole's border; `luma`, the query's brightness
    with `chroma` times the colours of the guided answer. `threshold`: where masks are cut to black and white, a
    brightness in [0, 1] or `otsu` for each answer's own; None for what is not a mask. `confidence`: how far an answer
    can be trusted; None where that was not measured.
    """

    temperature: float = 0.5
    refine: str = "none"
    radius: int = 16
    eps: float = 1e-3
    chroma: float = 1.0
    detail: float = 1.0
    smooth: int = 0
    threshold: float | str | None = None
    confidence: Confidence | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 10:
            raise EngineError(f"temperature {self.temperature} is outside 0..10")
        if self.refine not in REFINEMENTS:
            raise EngineError(f"refine {self.refine!r} is none of {', '.join(REFINEMENTS)}")
        if not 1 <= self.radius <= 111 or not 0 < self.eps < 1:
            raise EngineError(
                f"guided refinement needs 1 <= radius <= 111 and 0 < eps < 1, not {self.radius}, {self.eps}"
            )
        if not 0 <= self.smooth <= 55:
            raise EngineError(f"smooth {self.smooth} is outside 0..55 pixels")
        if not 0 <= self.chroma <= 10 or not 0 <= self.detail <= 1:
            raise EngineError(f"chroma {self.chroma} is outside 0..10, or detail {self.detail} outside 0..1")
        if self.threshold not in (None, OTSU) and not (isinstance(self.threshold, float) and 0 < self.threshold < 1):
            raise EngineError(f"threshold {self.threshold!r} is neither {OTSU!r} nor a number between 0 and 1")
        if self.confidence is not None:
            self.confidence.check()

    def asked(self, refine: str, threshold: str) -> "AnswerSettings":
        """What these become for one request: `refine` is `auto` or another kind, `threshold` `auto` or `none`."""
        kind = self.refine if refine == "auto" else refine
        level = self.threshold if threshold == "auto" else None
        # The same object where nothing differs: a request is not to pay for a copy.
        return self if (kind, level) == (self.refine, self.threshold) else replace(self, refine=kind, threshold=level)


PUBLISHED_ANSWER = AnswerSettings(temperature=0.0)


@dataclass(frozen=True, slots=True)
class TaskVector:
    """Values float32 [L,N,H,d] and masks bool [L,N,H] for encoder and decoder; `model` is a fingerprint."""

    encoder_value: Tensor
    encoder_mask: Tensor
    decoder_value: Tensor
    decoder_mask: Tensor
    program: str
    model: str
    answer: AnswerSettings = AnswerSettings()

    def check(self, config: MaeConfig, program: Program, fingerprint: str) -> None:
        """Raise ModelMismatch unless made for this model and program, with the right shapes and finite values."""
        if self.model != fingerprint:
            raise ModelMismatch(f"the task vector was made for model {self.model[:12]}, this one is {fingerprint[:12]}")
        if self.program != program.name:
            raise ModelMismatch(f"the task vector is for program {self.program}, not {program.name}")
        wanted = site_shapes(config, program)
        for part, value, mask in (
            ("encoder", self.encoder_value, self.encoder_mask),
            ("decoder", self.decoder_value, self.decoder_mask),
        ):
            if tuple(value.shape) != wanted[part] or tuple(mask.shape) != wanted[part][:3]:
                raise ModelMismatch(
                    f"{part} value {tuple(value.shape)} and mask {tuple(mask.shape)} do not fit {wanted[part]}"
                )
            if not bool(torch.isfinite(value).all()):
                raise ModelMismatch(f"{part} values are not all finite")

    @property
    def sites(self) -> int:
        """How many sites are written."""
        return int(self.encoder_mask.sum() + self.decoder_mask.sum())


def site_shapes(config: MaeConfig, program: Program) -> dict[str, tuple[int, int, int, int]]:
    """[L,N,H,d] of the encoder's and the decoder's head outputs in a program."""
    return {
        "encoder": (config.depth, program.encoder_tokens, config.heads, config.width // config.heads),
        "decoder": (
            config.decoder_depth,
            program.decoder_tokens,
            config.decoder_heads,
            config.decoder_width // config.decoder_heads,
        ),
    }
