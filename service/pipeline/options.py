"""What a request asks for, set against what its task can do: what means nothing for it is refused by name."""

from typing import Final

from engine.task_vector import AnswerSettings
from service.errors import InvalidRequest
from service.pipeline.call import Call

_OF_PICTURES: Final = ("size", "refine", "threshold", "format")
_OF_CLASSES: Final = ("top_k",)


def painting_settings(stored: AnswerSettings, call: Call) -> AnswerSettings:
    """The artifact's settings, with what the request asks for in their place.

    Raises InvalidRequest for what the task has no use for.
    """
    options = call.options
    for name in options.given(_OF_CLASSES):
        raise InvalidRequest(f"{name}: this task answers with a picture.")
    if call.masks and stored.refine != "hole":
        raise InvalidRequest("mask: this task fills no holes.")
    if options.threshold == "auto" and stored.threshold is None:
        raise InvalidRequest("threshold: this task paints no masks.")
    return stored.asked(options.refine, options.threshold)


def check_classifying(call: Call) -> None:
    """Raises InvalidRequest for what a classification has no use for."""
    for name in (*call.options.given(_OF_PICTURES), *(["mask"] if call.masks else [])):
        raise InvalidRequest(f"{name}: this task answers with classes.")
