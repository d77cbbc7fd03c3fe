"""artifacts.pictures: files in good order that hold fewer pixels than their header says."""

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from artifacts.pictures.errors import BrokenPicture
from artifacts.pictures.limits import PictureLimits
from artifacts.pictures.metadata import png_chunks
from artifacts.pictures.read import read
from tests.picture_files import chunk, save

LIMIT = PictureLimits(1_000_000)
PICTURE = np.random.default_rng(1).integers(1, 255, (96, 80, 3), np.uint8)
END = b"\xff\xd9"


def png_of(mode: str) -> bytes:
    return save(Image.fromarray(PICTURE).convert(mode), "PNG")


def with_stream(file: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """A PNG whose pixels' stream, inflated, is another."""
    parts = [(kind, file[start + 8 : end - 4]) for kind, start, end in png_chunks(file)]
    stream = change(zlib.decompress(b"".join(body for kind, body in parts if kind == b"IDAT")))
    body = [chunk(kind, body) for kind, body in parts if kind not in (b"IDAT", b"IEND")]
    return b"".join((file[:8], *body, chunk(b"IDAT", zlib.compress(stream)), chunk(b"IEND", b"")))


def interlaced(rows: int) -> bytes:
    """A gray PNG of 8x8 pixels in seven passes, of whose stream the last rows of 9 bytes are left out."""
    samples = (1, 1, 2, 4, 8, 16, 32)
    widths = (1, 1, 2, 2, 4, 4, 8)
    stream = b"".join((b"\0" + b"\x64" * wide) * (n // wide) for n, wide in zip(samples, widths, strict=True))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(stream[: len(stream) - 9 * rows]))
    return b"".join((b"\x89PNG\r\n\x1a\n", *parts, chunk(b"IEND", b"")))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "1", "I;16"])
@pytest.mark.parametrize("share", [0.2, 0.98])
def test_a_png_of_too_few_rows(mode: str, share: float) -> None:
    deep = Image.fromarray(PICTURE[..., 0].astype(np.uint16) * 257)
    whole = save(deep, "PNG") if mode == "I;16" else png_of(mode)
    assert np.array_equal(read(with_stream(whole, bytes), LIMIT), read(whole, LIMIT))
    with pytest.raises(BrokenPicture):
        read(with_stream(whole, lambda stream: stream[: int(len(stream) * share)]), LIMIT)


def test_an_interlaced_png_of_too_few_rows() -> None:
    assert (read(interlaced(0), LIMIT) == 100).all()
    for rows in (1, 4):
        with pytest.raises(BrokenPicture):
            read(interlaced(rows), LIMIT)


@pytest.mark.parametrize("colour", [(0, 0, 0), (171, 59, 92)])
def test_a_whole_png_whose_last_rows_are_of_one_colour(colour: tuple[int, int, int]) -> None:
    picture = PICTURE.copy()
    picture[-9:] = colour
    assert np.array_equal(read(save(Image.fromarray(picture), "PNG"), LIMIT), picture)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("at_least", [None, 8])
def test_a_jpeg_of_too_few_rows(options: dict[str, int], at_least: int | None) -> None:
    whole = save(Image.fromarray(PICTURE), "JPEG", **options)
    assert read(whole, LIMIT, at_least).shape[2] == 3
    frame = whole.index(b"\xff\xc2" if "progressive" in options else b"\xff\xc0")
    for short in (
        whole[: len(whole) - 400] + END,
        whole[: frame + 5] + struct.pack(">H", 2 * len(PICTURE)) + whole[frame + 7 :],
    ):
        with pytest.raises(BrokenPicture):
            read(short, LIMIT, at_least)


def test_a_jpeg_without_its_last_scans() -> None:
    whole = save(Image.fromarray(PICTURE), "JPEG", progressive=True)
    at = whole.rindex(b"\xff\xda")
    for _ in range(6):
        for tail in (b"", END, END + whole):
            with pytest.raises(BrokenPicture):
                read(whole[:at] + tail, LIMIT)
        at = whole.rindex(b"\xff\xda", 0, at)
