"""artifacts.pictures: files of rare kinds that viewers show all the same, and what viewers do with odd parts of PNG."""

import base64
import gzip
import io
import struct

import numpy as np
import pytest
from PIL import Image

from artifacts.pictures.errors import BrokenPicture, PictureError, TooLong, UnsupportedFormat
from artifacts.pictures.limits import PictureLimits
from artifacts.pictures.read import read
from tests.picture_files import chunk, png, save

LIMIT = PictureLimits(1_000_000)
PICTURE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8).repeat(2, 0).repeat(2, 1)
ARITHMETIC = base64.b64decode(
    "/9j/2wBDABQODxIPDRQSEBIXFRQYHjIhHhwcHj0sLiQySUBMS0dARkVQWnNiUFVtVkVGZIhlbXd7gYKBTmCNl4x9lnN+gXz/2wBDARUXFx4aHj"
    "shITt8U0ZTfHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHz/yQARCAAoADADASIAAhEBAxEB/8wACgAQ"
    "EAUBEBEF/9oADAMBAAIRAxEAPwD4Pq4SOmc8zZ0aDFi9oBQZb21WSMDvHeii+Ypo4YHhPInMnNSGikxXYIt+pXid2wVjohh0sG2lC2Tz4GkF75"
    "ACeKsL81uwTs2Jy09t/iJPf+f8isdH+LSc6kTCl0sLGgWwc1oxKPvNMtMNiApvP07U2hNlvszgpjp1vYHG7/8AyHsTVwi84TIH8nG2H9bXUVIT"
    "Fetvmm3CuLiee6y2xN3rvyOW/9k="
)
"""48x40 pixels, written by cjpeg -arithmetic."""
QUARTERED = base64.b64decode(
    "/9j/2wBDABQODxIPDRQSEBIXFRQYHjIhHhwcHj0sLiQySUBMS0dARkVQWnNiUFVtVkVGZIhlbXd7gYKBTmCNl4x9lnN+gXz/2wBDARUXFx4aHj"
    "shITt8U0ZTfHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHz/wAARCAAoADADAUIAAhEBAxEB/8QAGgAB"
    "AAMBAQEAAAAAAAAAAAAAAAIDBAEFBv/EAB8QAQABBAIDAQAAAAAAAAAAAAABAgMREgRhExRBIf/EABgBAQADAQAAAAAAAAAAAAAAAAQCBQYD/8"
    "QAHREAAgICAwEAAAAAAAAAAAAAAQIAAwQRBRIiMv/aAAwDAQACEQMRAD8Ar1RmlCaXaYw9DwdOevn4jPG6U3LWoNjhyNSxrylnKZSyDNXc1Vzy"
    "ewPShiIwXKZ9FiCNSdcMXKxicLPKhVfx9VVcntVN3dXYVJc7mXtpephMHIiczhjqpqB7M2d0Z4fQNAuQqjUtkrbqJfsruVMtdX6nZnMgAHGjyZ"
    "DkR6WehZjMLdQAHBz6MenyJ//Z"
)
"""The same by cjpeg -sample 4x2, in which eight pixels share a colour."""
STACKED = base64.b64decode(
    "/9j/2wBDABQODxIPDRQSEBIXFRQYHjIhHhwcHj0sLiQySUBMS0dARkVQWnNiUFVtVkVGZIhlbXd7gYKBTmCNl4x9lnN+gXz/2wBDARUXFx4aHj"
    "shITt8U0ZTfHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHz/wAARCAAoADADARQAAhEBAxEB/8QAGQAB"
    "AQEBAQEAAAAAAAAAAAAAAAQDBQIB/8QAHxABAAEEAgMBAAAAAAAAAAAAAAECAxESBGETFEEh/8QAGQEAAwEBAQAAAAAAAAAAAAAAAwQFAgEG/8"
    "QAIREAAgICAQQDAAAAAAAAAAAAAAMBAjFBBAUTIVIUFVH/2gAMAwEAAhEDEQA/AM9Vng6W4hN5Uz5l50F7vJ9TmzSt9fPxdGqOq/j67DmX0Znl"
    "PrmpzZpXTxunQnXDnVcntuEtvox9k2uYI6Yw3uWtVPKxicJpu7mKcS2wtOpMto+UywruasORE5nC2bO5uvHXGZG68pltHvKKeT2gqpqdeeH0LC"
    "U+wXvs/DfYB52B0zuVAHkCT48EtdX6AuojwQH5PdmcyAIzBxOToWYzACU0uJwa6gFpGT//2Q=="
)
"""The same by cjpeg -sample 1x4."""


def as_pillow(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


@pytest.mark.parametrize("file", [ARITHMETIC, QUARTERED, STACKED], ids=["arithmetic", "4x2", "1x4"])
def test_a_jpeg_of_a_rare_kind_is_read_and_nothing_of_it_may_lack(file: bytes) -> None:
    assert np.array_equal(read(file, LIMIT), as_pillow(file))
    assert np.array_equal(read(file[:-2], LIMIT), as_pillow(file))  # its end alone
    for share in (0.4, 0.6, 0.8):
        for end in (b"", b"\xff\xd9"):
            with pytest.raises(BrokenPicture):
                read(file[: int(len(file) * share)] + end, LIMIT)
    with pytest.raises(PictureError):
        read(file, PictureLimits(48 * 40 - 1))
    with pytest.raises(TooLong):
        read(file, PictureLimits(1_000_000, aspect=1.1))


@pytest.mark.parametrize("transform", [1, 2, 255])
def test_a_jpeg_whose_colours_are_told_in_a_way_that_is_none(transform: int) -> None:
    plain = save(Image.fromarray(PICTURE), "JPEG")
    told = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])
    assert np.array_equal(read(plain[:2] + told + plain[20:], LIMIT), read(plain, LIMIT))


def test_what_stands_between_segments_of_a_jpeg_is_passed_over() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = save(Image.fromarray(PICTURE), "JPEG", exif=exif)
    frame = plain.index(b"\xff\xe1")
    assert np.array_equal(read(plain[:frame] + b"\0\1\2" + plain[frame:], LIMIT), read(plain, LIMIT))


@pytest.mark.parametrize("length", [0, 1, 3, 6])
@pytest.mark.parametrize("depth", [1, 8, 16])
def test_a_transparent_level_of_another_length_is_none(length: int, depth: int) -> None:
    samples = np.resize(np.arange(2**depth), (16, 20))[..., None]
    file = png(samples, depth, 0, chunk(b"tRNS", bytes(length)))
    assert np.array_equal(read(file, LIMIT), read(png(samples, depth, 0), LIMIT))


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_of_a_transparent_level_the_samples_bits_count(depth: int) -> None:
    samples = np.resize(np.arange(2**depth), (16, 20))[..., None]
    plain, beyond = (png(samples, depth, 0, chunk(b"tRNS", struct.pack(">H", 1 | high))) for high in (0, 0xFF00))
    assert np.array_equal(read(beyond, LIMIT), read(plain, LIMIT))
    assert (read(plain, LIMIT)[samples[..., 0] == 1] == 255).all()


def test_of_a_transparent_colour_the_samples_bits_count() -> None:
    key = PICTURE[0, 0].astype(int) | 0x100
    pixels = read(png(PICTURE, 8, 2, chunk(b"tRNS", struct.pack(">3H", *key))), LIMIT)
    expected = PICTURE.copy()
    expected[(PICTURE[0, 0] == PICTURE).all(-1)] = 255
    assert np.array_equal(pixels, expected)


def test_a_palettes_transparency_may_be_longer_or_shorter_than_the_palette() -> None:
    levels = np.arange(256)[:, None].repeat(3, 1)
    samples = np.resize(np.arange(256), (16, 16))[..., None]
    for alpha in (bytes(10), bytes(10) + b"\xff" * 300):
        chunks = chunk(b"PLTE", levels.astype(np.uint8).tobytes()), chunk(b"tRNS", alpha)
        pixels = read(png(samples, 8, 3, *chunks), LIMIT)
        assert np.array_equal(pixels, np.where(samples < 10, 255, samples).repeat(3, -1))


def test_a_palette_that_is_a_mere_suggestion_may_be_damaged() -> None:
    assert np.array_equal(read(png(PICTURE, 8, 2, chunk(b"PLTE", bytes(13))), LIMIT), PICTURE)
    with pytest.raises(BrokenPicture):
        read(png(np.zeros((4, 4, 1), int), 8, 3, chunk(b"PLTE", bytes(3)), chunk(b"PLTE", b"\xff" * 3)), LIMIT)


def test_a_pngs_colours_by_number_count_before_others() -> None:
    linear = chunk(b"gAMA", struct.pack(">I", 100_000))
    assert np.array_equal(read(png(PICTURE, 8, 2, linear, chunk(b"cICP", bytes((1, 13, 0, 1)))), LIMIT), PICTURE)
    p3 = read(png(PICTURE, 8, 2, chunk(b"cICP", bytes((12, 13, 0, 1)))), LIMIT)
    assert np.abs(p3.astype(int) - PICTURE).max() > 25


@pytest.mark.parametrize("gamma", [0, 1, 15, 625_000_001, 2**31, 2**32 - 1])
def test_a_gamma_that_no_viewer_believes_changes_nothing(gamma: int) -> None:
    assert np.array_equal(read(png(PICTURE, 8, 2, chunk(b"gAMA", struct.pack(">I", gamma))), LIMIT), PICTURE)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


@pytest.mark.parametrize(
    "head",
    [
        *(
            b"\xff\xd8\xff\xf7\0\x0b",
            b"\xff\x10\xff\x50",
            b"\x8bJNG\r\n\x1a\n",
            b"\x59\xa6\x6a\x95",
            b"SDPX",
            b"BPG\xfb",
        ),
        *(b"\x0a\5\1\x08", b"#define im_width 8\n", b"PF4\n1 1\n", b"P4\t8 8\n", b"farbfeld", b"\xc5\xd0\xd3\xc6"),
        *(b"FORM\0\0\0\x40ILBM", b"RIFF\x40\0\0\0ACON", bytes(128) + b"DICM", b"\xabKTX 20\xbb\r\n\x1a\n"),
        *(SVG.replace(b"svg x", b"ns0:svg x"), SVG.replace(b"svg x", b"SVG x"), b"<!--" + b"x" * 9000 + b"-->" + SVG),
        *(SVG.decode().encode("utf-16"), SVG.decode().encode("utf-16-be"), gzip.compress(SVG, mtime=0)),
    ],
)
def test_more_pictures_of_other_formats_are_told_by_name(head: bytes) -> None:
    with pytest.raises(UnsupportedFormat):
        read(head + bytes(40), LIMIT)


@pytest.mark.parametrize(
    "data", [b"<html><body>" + SVG, gzip.compress(b"hello", mtime=0), b"\x1f\x8b" + bytes(50), b"<svgx>"]
)
def test_what_holds_or_resembles_a_picture_is_none(data: bytes) -> None:
    with pytest.raises(BrokenPicture):
        read(data, LIMIT)
