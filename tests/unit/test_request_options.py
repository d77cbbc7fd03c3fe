"""What a request asks for, set against what its task can do."""

import numpy as np
import pytest

from engine.task_vector import AnswerSettings
from service.errors import InvalidRequest
from service.http.calls import InferCall, read_options
from service.http.replies import best
from service.pipeline.call import Call, Options
from service.pipeline.options import check_classifying, painting_settings


@pytest.mark.parametrize(
    ("option", "value"),
    [("size", "native"), ("refine", "auto"), ("threshold", "none"), ("format", "png"), ("format", "webp")],
)
def test_what_only_pictures_have_is_refused_for_classes_by_name(option: str, value: str) -> None:
    for options in (read_options({"task": "t", option: value}), Options.model_validate({"task": "t", option: value})):
        with pytest.raises(InvalidRequest, match=f"^{option}: this task answers with classes"):
            check_classifying(Call(options, [b""]))


def test_a_mask_is_refused_for_classes_by_name() -> None:
    with pytest.raises(InvalidRequest, match=r"^mask: this task answers with classes"):
        check_classifying(InferCall(Options(task="t"), [b""], masks=[b""], form="raw"))


def test_what_only_classes_have_is_refused_for_pictures_by_name() -> None:
    with pytest.raises(InvalidRequest, match=r"^top_k: this task answers with a picture"):
        painting_settings(AnswerSettings(), Call(read_options({"task": "t", "top_k": "5"}), [b""]))


def test_what_is_not_stated_is_refused_by_neither() -> None:
    call = Call(read_options({"task": "t"}), [b""])
    check_classifying(call)
    assert painting_settings(AnswerSettings(), call) == AnswerSettings()
    assert call.options.top_k == 5


@pytest.mark.parametrize("top_k", ["0", "-1", "x", "1.5", ""])
def test_a_wrong_count_is_refused_by_name(top_k: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^top_k: "):
        read_options({"task": "t", "top_k": top_k})


def test_classes_come_best_first_and_equals_in_their_order() -> None:
    scores = np.array([0.1, 0.3, 0.1, 0.5], np.float32)
    told = best(scores, ("a", "b", "c", "d"), 3)
    assert [(found.label, found.score) for found in told] == [
        ("d", 0.5),
        ("b", float(scores[1])),
        ("a", float(scores[0])),
    ]
    assert len(best(scores, ("a", "b", "c", "d"), 9)) == 4
