"""service.codec.images: every kind of file it must read, and every kind it must refuse."""

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from artifacts.pictures.limits import PictureLimits
from artifacts.pictures.resize import resized
from artifacts.pictures.write import encode
from service.codec.images import from_pixels, read
from service.errors import InvalidImage, UnsupportedMedia
from tests.picture_files import chunk, save

LIMIT = PictureLimits(1_000_000)


def gradient(width: int = 60, height: int = 40) -> Image.Image:
    rows, columns = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([columns * 4, rows * 6, rows + columns], -1).astype(np.uint8))


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "JPEG"])
def test_reads_the_three_formats(file_format: str) -> None:
    options = {"lossless": True} if file_format == "WEBP" else {}
    pixels = np.asarray(read(save(gradient(), file_format, **options), LIMIT)).astype(int)
    worst = np.abs(pixels - np.asarray(gradient()).astype(int)).max()
    assert worst <= (12 if file_format == "JPEG" else 0)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr"])
def test_every_opaque_mode_becomes_rgb(mode: str) -> None:
    data = save(gradient().convert(mode), "PNG" if mode in {"1", "L", "P", "RGB"} else "JPEG")
    assert read(data, LIMIT).shape == (40, 60, 3)


def test_cmyk_keeps_its_colours() -> None:
    red = Image.new("RGB", (16, 16), (200, 30, 40)).convert("CMYK")
    pixels = np.asarray(read(save(red, "JPEG", quality=95), LIMIT)).astype(int)
    assert np.abs(pixels - (200, 30, 40)).max() < 16


def test_sixteen_bit_gray_is_scaled_not_clipped() -> None:
    wide = Image.fromarray(np.array([[0, 0x0100, 0x8000, 0xFFFF]], np.uint16))
    assert np.asarray(read(save(wide, "PNG"), LIMIT))[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_on_white(mode: str) -> None:
    layer = Image.new("RGBA", (4, 1), (0, 0, 0, 0))
    layer.putpixel((0, 0), (0, 0, 0, 255))
    pixels = np.asarray(read(save(layer.convert(mode), "PNG"), LIMIT))
    assert pixels[0, :, 0].tolist() == [0, 255, 255, 255]


def test_transparent_palette_entry_lies_on_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    pixels = np.asarray(read(save(image, "PNG", transparency=0), LIMIT))
    assert pixels[0].tolist() == [[255, 255, 255], [40, 50, 60]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    upright = np.zeros((32, 48, 3), np.uint8)
    upright[:16, :16] = 255  # a white mark at the top left
    turn = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, 3),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(turn(upright)))
    data = save(stored, "JPEG", quality=95, exif=exif.tobytes())
    pixels = np.asarray(read(data, LIMIT)).astype(int)
    assert pixels.shape == upright.shape
    assert np.abs(pixels - upright).mean() < 4


def test_scaled_decoding_changes_little() -> None:
    smooth = gradient().resize((1200, 800), Image.Resampling.BICUBIC)
    data = save(smooth, "JPEG", quality=90)
    fast = resized(read(data, LIMIT, at_least=112), 111).astype(int)
    full = resized(read(data, LIMIT), 111).astype(int)
    assert read(data, LIMIT, at_least=112).shape == (200, 300, 3)
    assert np.abs(fast - full).mean() < 1


def test_resized_is_what_the_paper_resizes_with() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (301, 407, 3), np.uint8)
    reference = np.asarray(Image.fromarray(noise).resize((111, 111), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(resized(noise, 111) - reference).max() <= 1


def test_a_jpeg_that_only_a_lenient_decoder_reads() -> None:
    whole = save(gradient(), "JPEG")
    padded = whole[:-2] + b"\x00\x07" + whole[-2:]  # bytes before the end marker, as some cameras write them
    assert np.abs(read(padded, LIMIT).astype(int) - read(whole, LIMIT)).max() == 0


def test_read_only_pixels_are_taken() -> None:
    frozen = np.frombuffer(bytes(60 * 40 * 3), np.uint8).reshape(40, 60, 3)
    assert resized(from_pixels(frozen, LIMIT), 111).shape == (111, 111, 3)


def test_resized_is_square_whatever_the_aspect() -> None:
    assert resized(np.array(gradient()), 111).shape == (111, 111, 3)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(1001, 1000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_by_the_header(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidImage, match="more pixels"):
        read(png_header(*size), LIMIT)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"hello, world",
        b"\xff\xd8\xff",
        png_header(10, 10),
        save(gradient(), "JPEG")[:-200],
        save(gradient(), "PNG")[:-60],
        save(gradient(), "WEBP")[:-60],
    ],
    ids=["empty", "png-magic", "text", "jpeg-magic", "no-pixels", "cut-jpeg", "cut-png", "cut-webp"],
)
def test_broken_files_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        read(data, LIMIT)


@pytest.mark.parametrize("file_format", ["GIF", "BMP", "TIFF"])
def test_other_formats_are_unsupported(file_format: str) -> None:
    with pytest.raises(UnsupportedMedia):
        read(save(gradient(), file_format), LIMIT)


EXIF = Image.Exif()
EXIF[0x0112] = 6
SEEDS = [
    save(gradient(), "JPEG", exif=EXIF.tobytes()),
    save(gradient(), "PNG", exif=EXIF.tobytes()),
    save(gradient(), "WEBP", exif=EXIF.tobytes()),
]


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=8))
@settings(max_examples=300, deadline=None)
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of damaged metadata that it skips
def test_a_damaged_file_is_read_or_refused(data: bytes, damage: list[tuple[int, int]]) -> None:
    damaged = bytearray(data)
    for position, value in damage:
        damaged[position % len(damaged)] = value
    with suppress(InvalidImage, UnsupportedMedia):
        assert read(bytes(damaged), LIMIT).shape[2] == 3


@pytest.mark.parametrize(("file_format", "kind"), [("png", "PNG"), ("webp", "WEBP"), ("jpeg", "JPEG")])
def test_encodes_what_was_asked_for(file_format: str, kind: str) -> None:
    pixels = np.asarray(gradient())
    image = Image.open(io.BytesIO(encode(pixels, file_format)))
    assert (image.format, image.size) == (kind, (60, 40))
    if file_format == "png":
        assert np.array_equal(np.asarray(image), pixels)
