"""No file is decoded that has more pixels than the limit, whichever way it would be read."""

import io

import numpy as np
import pytest
from PIL import Image

from artifacts.pictures.limits import PictureLimits
from service.codec.images import read
from service.errors import InvalidImage

WIDTH, HEIGHT = 60, 40


@pytest.mark.parametrize("at_least", [None, 8])
@pytest.mark.parametrize("exif", [False, True], ids=["plain", "exif"])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_one_pixel_too_many_is_refused(file_format: str, exif: bool, at_least: int | None) -> None:
    """A JPEG without Exif has a way of its own; one that will be resized is decoded at a fraction of its size."""
    picture = Image.fromarray(np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    marks = Image.Exif()
    marks[0x0112] = 3
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **({"exif": marks} if exif else {}))
    with pytest.raises(InvalidImage, match="more pixels"):
        read(buffer.getvalue(), PictureLimits(WIDTH * HEIGHT - 1), at_least)
    assert read(buffer.getvalue(), PictureLimits(WIDTH * HEIGHT), at_least).shape[2] == 3
