"""service.http.schemas and service.http.replies: what is accepted, and what a client prefers."""

import pytest
from pydantic import ValidationError

from service.http.replies import prefers_image
from service.http.schemas import InferRequest
from service.pipeline.call import Options
from service.telemetry.timing import Timing


def test_defaults_are_the_contracts() -> None:
    options = Options.model_validate({"task": "identity"})
    assert (options.size, options.refine, options.format) == ("native", "auto", "png")


@pytest.mark.parametrize(
    "wrong", [{"size": "huge"}, {"refine": "hole"}, {"format": "gif"}, {"task": ""}, {"taks": "identity"}]
)
def test_what_is_not_in_the_contract_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate(wrong)


@pytest.mark.parametrize("wrong", [{"task": "t"}, {"task": "t", "images": []}, {"images": ["x"]}])
def test_json_needs_a_task_and_images(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        InferRequest.model_validate(wrong)


@pytest.mark.parametrize(
    ("accept", "image"),
    [
        ("", True),
        ("*/*", True),
        ("image/*", True),
        ("image/png", True),
        ("application/json", False),
        ("application/json, text/plain, */*", True),
        ("application/json;q=0.9, image/*", True),
        ("application/json, image/*;q=0.9", False),
        ("image/*;q=0, */*", False),
        ("text/html", False),
        ("image/*;q=nonsense", False),
    ],
)
def test_accept_decides_between_image_and_json(accept: str, image: bool) -> None:
    assert prefers_image(accept) is image


def test_the_stages_of_the_last_image_are_told() -> None:
    longest = Timing.longest([Timing(queue=1, decode=5), Timing(queue=3, decode=2, encode=2)])
    assert longest.header() == "queue;dur=3.000, decode;dur=2.000, compute;dur=0.000, encode;dur=2.000"
