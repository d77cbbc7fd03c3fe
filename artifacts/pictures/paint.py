"""What the engine answers, as the picture that is asked for."""

from artifacts.pictures.resize import resized
from engine.geometry import Pixels
from engine.refine_picture import refine
from engine.task_vector import AnswerSettings
from engine.threshold import cut


def paint(answer: Pixels, guide: Pixels, settings: AnswerSettings, tile: int) -> Pixels:
    """Answer uint8 [cell,cell,3], refined to the size of `guide` uint8 [H,W,3], the query at that size."""
    if settings.refine == "none" and guide.shape[:2] == (tile, tile):
        return resized(answer, tile)  # the same picture, without a detour over floats
    return refine(answer, guide, settings)


def binarised(picture: Pixels, settings: AnswerSettings) -> Pixels:
    """In black and white where the settings have a threshold."""
    return picture if settings.threshold is None else cut(picture, settings.threshold)
