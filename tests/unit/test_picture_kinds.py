"""artifacts.pictures: files that viewers show although something about them is unusual or damaged."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from artifacts.errors import OfflineError
from artifacts.pictures.errors import BrokenPicture, UnsupportedFormat
from artifacts.pictures.limits import PictureLimits
from artifacts.pictures.read import count_pixels, read, read_file
from engine.geometry import Pixels
from tests.picture_files import chunk, png, save

LIMIT = PictureLimits(1_000_000)
PICTURE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8).repeat(2, 0).repeat(2, 1)
FORMATS = ("JPEG", "PNG", "WEBP")


DAMAGED_EXIF = (
    b"no TIFF",
    bytes(64),
    b"II*\0\x08\0\0\0\x05\0",  # five entries, and none is there
    b"MM\0*\xff\xff\xff\xff",
    b"II+\0\x08\0\0\0" + bytes(8),
    b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0no\0\0",  # a text where a number belongs
)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("exif", DAMAGED_EXIF)
def test_damaged_exif_is_not_a_damaged_picture(file_format: str, exif: bytes) -> None:
    plain = save(Image.fromarray(PICTURE), file_format)
    damaged = save(Image.fromarray(PICTURE), file_format, exif=b"Exif\0\0" + exif)
    assert len(damaged) > len(plain)
    assert np.array_equal(read(damaged, LIMIT), read(plain, LIMIT))


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(read(save(Image.fromarray(PICTURE), "PNG", exif=exif), LIMIT), PICTURE)


@pytest.mark.parametrize("file_format", FORMATS)
def test_orientation_may_be_in_xmp(file_format: str) -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    if file_format == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", xmp.decode())
        data = save(Image.fromarray(PICTURE), "PNG", pnginfo=text)
    else:
        data = save(Image.fromarray(PICTURE), file_format, xmp=xmp)
    plain = read(save(Image.fromarray(PICTURE), file_format), LIMIT)
    assert np.array_equal(read(data, LIMIT), np.rot90(plain, 3))


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"iCCP", b"gAMA", b"cHRM", b"pHYs", b"acTL"])
@pytest.mark.parametrize("where", ["before", "after"])
def test_damaged_or_endless_metadata_of_png_is_skipped(kind: bytes, where: str) -> None:
    packed = zlib.compress(bytes(3_000_000))
    bodies = {b"zTXt": b"a\0\0" + packed, b"iTXt": b"a\0\1\0\0\0" + packed, b"iCCP": b"a\0\0" + packed}
    broken = bytearray(chunk(kind, bodies.get(kind, b"\1\2\3")))
    if kind == b"pHYs":
        broken[-1] ^= 1  # its checksum
    file = png(PICTURE, 8, 2)
    at = len(file) - 12 if where == "after" else 33
    assert np.array_equal(read(file[:at] + broken + file[at:], LIMIT), PICTURE)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_one_transparent_gray_level(depth: int) -> None:
    levels = np.arange(2 ** min(depth, 8)) * (257 if depth == 16 else 1)
    samples = np.resize(levels, (16, 20))[..., None]
    key = int(levels[len(levels) // 3])
    expected = np.where(samples == key, 255, samples * 255 // (2**depth - 1)).repeat(3, -1)
    assert np.array_equal(read(png(samples, depth, 0, chunk(b"tRNS", struct.pack(">H", key))), LIMIT), expected)


@pytest.mark.parametrize("depth", [8, 16])
def test_one_transparent_colour(depth: int) -> None:
    samples = np.random.default_rng(1).integers(0, 2**depth, (8, 8, 3))
    samples[0, 1] = samples[0, 0]
    samples[0, 1, 2] ^= 1  # differs in the lowest bit alone
    file = png(samples, depth, 2, chunk(b"tRNS", struct.pack(">3H", *samples[0, 0])))
    pixels = read(file, LIMIT)
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert np.abs(pixels[0, 1] - samples[0, 1] / (257 if depth == 16 else 1)).max() <= 1


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_that_lacks_only_its_end(mode: str) -> None:
    whole = save(Image.fromarray(PICTURE).convert(mode), "JPEG")
    for cut in (1, 2):
        assert np.array_equal(read(whole[:-cut], LIMIT), read(whole, LIMIT))
    with pytest.raises(BrokenPicture):
        read(whole[:-40], LIMIT)


def test_a_jpeg_with_something_behind_it() -> None:
    whole = save(Image.fromarray(PICTURE), "JPEG")
    assert np.array_equal(read(whole + b"a phone's own data", LIMIT), read(whole, LIMIT))


def test_a_lenient_read_is_not_stopped_by_metadata() -> None:
    whole = save(Image.fromarray(PICTURE), "JPEG", exif=b"Exif\0\0no TIFF")
    padded = whole[:-2] + b"\x00\x07" + whole[-2:]
    assert np.array_equal(read(padded, LIMIT), read(whole, LIMIT))


@pytest.mark.parametrize(
    "head",
    [
        *(b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"II+\0\x08\0", b"MM\0+", b"\0\0\x01\0", b"8BPS", b"%PDF-1.7"),
        *(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51", b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a\x00"),
        *(b"\0\0\0\x1cftypavif", b"\0\0\0\x18ftypheic", b"P6\n2 2\n255\n", b"P1 1 1 0", b"Pf\n1 1\n-1\n", b"qoif"),
        *(b"<svg xmlns='...'>", b"<?xml version='1.0'?>\n<!-- a -->\n<svg/>", b"\xef\xbb\xbf  <svg>", b"DDS "),
    ],
)
def test_pictures_of_other_formats_are_told_from_what_is_none(head: bytes) -> None:
    with pytest.raises(UnsupportedFormat):
        read(head + bytes(40), LIMIT)


@pytest.mark.parametrize("data", [b"", b"Paris", b"<html><body>", b"RIFF\0\0\0\0WAVE", b"\x89PNG", bytes(100)])
def test_what_is_no_picture(data: bytes) -> None:
    with pytest.raises(BrokenPicture):
        read(data, LIMIT)


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_header_tells_how_many_pixels(file_format: str) -> None:
    assert count_pixels(save(Image.fromarray(PICTURE), file_format), LIMIT) == 48 * 64


def test_a_commands_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    with pytest.raises(OfflineError, match=r"picture\.jpg cannot be read: No such file"):
        read_file(path)
    path.write_bytes(b"BM, once a bitmap")
    with pytest.raises(OfflineError, match=r"picture\.jpg is not a picture that can be read: it is neither JPEG"):
        read_file(path)
    path.write_bytes(b"hello")
    with pytest.raises(OfflineError, match=r"picture\.jpg is not .*: it is not a complete"):
        read_file(path)


def rows(pixels: Pixels) -> list[list[int]]:
    return [[int(value) for value in pixel] for pixel in pixels[0]]


def test_alpha_of_every_png_mode_lies_on_white() -> None:
    layer = Image.new("RGBA", (3, 1), (100, 100, 100, 255))
    layer.putpixel((1, 0), (100, 100, 100, 0))
    layer.putpixel((2, 0), (100, 100, 100, 128))
    expected = [[100] * 3, [255] * 3, [177] * 3]
    for image in (layer, layer.convert("LA"), layer.quantize(8)):
        assert np.abs(np.array(rows(read(save(image, "PNG"), LIMIT))) - expected).max() <= 1
