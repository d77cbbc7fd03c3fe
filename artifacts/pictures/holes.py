"""A picture with a hole, on its way into the engine and back."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from artifacts.pictures.resize import resized
from engine.geometry import Pixels
from engine.holes import Box, Hole, blacken, hole_of, view
from engine.refine_picture import refine
from engine.task_vector import AnswerSettings


@dataclass(frozen=True, slots=True)
class HoledPicture:
    """A picture [H,W,3], its hole [H,W], and the part of it that the model is shown."""

    picture: Pixels
    hole: Hole
    box: Box

    @classmethod
    def of(cls, picture: Pixels, mask: Pixels | None, settings: AnswerSettings) -> Self:
        """With the hole where a mask is white, else where the picture is black; raises NothingToFill.

        What will not be put into the hole is painted of the whole picture.
        """
        hole = hole_of(picture, mask)
        whole = slice(0, picture.shape[0]), slice(0, picture.shape[1])
        return cls(picture, hole, view(hole) if settings.refine == "hole" else whole)

    def cell(self, side: int) -> Pixels:
        """What the model is shown: [side,side,3], black in the hole."""
        return blacken(resized(np.ascontiguousarray(self.picture[self.box]), side), self.hole[self.box])

    def filled(self, answer: Pixels, settings: AnswerSettings, side: int | None) -> Pixels:
        """The picture with the answer in its hole, afterwards made [side,side,3] unless that is None.

        Filled at its own size: the hole's black is then in no pixel.
        """
        out = refine(answer, self.picture, settings, self.hole, self.box)
        return out if side is None else resized(out, side)
