"""service.codec.codec: which answers count as large."""

import numpy as np
import pytest

from artifacts.pictures.limits import PictureLimits
from engine.geometry import Geometry
from engine.task_vector import AnswerSettings
from service.codec.codec import Codec
from service.codec.spec import ImageSpec, Size
from service.errors import InvalidImage
from tests.support import photo

CODEC = Codec(Geometry(), PictureLimits(4_300_000))


@pytest.mark.parametrize(
    ("width", "size", "large"), [(2100, "original", True), (2100, "native", False), (1900, "original", False)]
)
def test_large_is_what_is_painted_at_a_large_size(width: int, size: Size, large: bool) -> None:
    for source in (photo(width, 2000), np.zeros((2000, width, 3), np.uint8)):
        spec = ImageSpec(source, None, None, size, "png", True, AnswerSettings())
        assert CODEC.decode(spec).large is large


def test_pixels_are_limited_as_files_are() -> None:
    spec = ImageSpec(np.zeros((2000, 2200, 3), np.uint8), None, None, "native", "png", True, AnswerSettings())
    with pytest.raises(InvalidImage, match="more pixels"):
        CODEC.decode(spec)
