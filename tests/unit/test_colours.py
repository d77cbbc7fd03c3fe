"""artifacts.pictures.colour: what files in other colour spaces become, and what is left as it is."""

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from artifacts.pictures.colour import _made_profile
from artifacts.pictures.limits import PictureLimits
from artifacts.pictures.read import read
from engine.geometry import Pixels
from tests.picture_files import chunk, png, save

LIMIT = PictureLimits(1_000_000)
P3_PRIMARIES = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
COLOURS = np.array([[40, 90, 160], [250, 80, 60], [30, 200, 70], [128, 128, 128], [255, 255, 255], [0, 0, 0]], np.uint8)
PICTURE = np.ascontiguousarray(COLOURS.reshape(1, 6, 3).repeat(16, 0).repeat(16, 1))


def encoded(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light in [0, 1] to sRGB levels (IEC 61966-2-1)."""
    light = light.clip(0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def xyz(primaries: tuple[float, ...]) -> NDArray[np.float64]:
    """RGB light to XYZ, of primaries and a white point."""
    white, *rgb = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in zip(primaries[::2], primaries[1::2], strict=True))
    columns = np.stack(rgb, -1)
    return columns * np.linalg.solve(columns, white)


SRGB = xyz((0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06))
P3_TO_SRGB = np.linalg.inv(SRGB) @ xyz(P3_PRIMARIES)


def expected_from_p3(pixels: Pixels, exponent: float) -> NDArray[np.float64]:
    return encoded((pixels / 255) ** exponent @ P3_TO_SRGB.T)


P3_PROFILE = _made_profile(1 / 2.2, P3_PRIMARIES)
FILES: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: save(Image.fromarray(PICTURE), "JPEG", quality=100, subsampling=0, icc_profile=P3_PROFILE),
    "png": lambda: save(Image.fromarray(PICTURE), "PNG", icc_profile=P3_PROFILE),
    "webp": lambda: save(Image.fromarray(PICTURE), "WEBP", lossless=True, icc_profile=P3_PROFILE),
    "palette": lambda: save(Image.fromarray(PICTURE).quantize(8), "PNG", icc_profile=P3_PROFILE),
    "alpha": lambda: save(Image.fromarray(PICTURE).convert("RGBA"), "PNG", icc_profile=P3_PROFILE),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_profile_is_followed(kind: str) -> None:
    expected = expected_from_p3(PICTURE, 2.2)
    assert np.abs(expected - PICTURE).max() > 25  # it matters
    assert np.abs(read(FILES[kind](), LIMIT) - expected).max() <= (4 if kind == "jpeg" else 1.5)


def test_a_profile_is_followed_where_decoding_is_scaled() -> None:
    large = Image.fromarray(PICTURE).resize((960, 640), Image.Resampling.NEAREST)
    data = save(large, "JPEG", quality=95, icc_profile=P3_PROFILE)
    small = read(data, LIMIT, at_least=112)
    assert small.shape == (160, 240, 3)
    assert np.abs(small[80, 20::40] - expected_from_p3(COLOURS, 2.2)).max() <= 5


def test_a_profile_in_parts_is_put_together() -> None:
    half = len(P3_PROFILE) // 2
    parts = (P3_PROFILE[half:], P3_PROFILE[:half])
    marks = (b"\x02\x02", b"\x01\x02")
    segments = b""
    for mark, part in zip(marks, parts, strict=True):
        body = b"ICC_PROFILE\0" + mark + part
        segments += b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body
    plain = save(Image.fromarray(PICTURE), "JPEG", quality=100, subsampling=0)
    assert np.array_equal(read(plain[:2] + segments + plain[2:], LIMIT), read(FILES["jpeg"](), LIMIT))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_srgb_and_broken_profiles_change_nothing(file_format: str) -> None:
    plain = read(save(Image.fromarray(PICTURE), file_format), LIMIT)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (srgb, lab, b"no profile", P3_PROFILE[:200], P3_PROFILE[:128] + bytes(len(P3_PROFILE) - 128)):
        data = save(Image.fromarray(PICTURE), file_format, icc_profile=profile)
        assert np.array_equal(read(data, LIMIT), plain)


def test_a_gray_picture_may_have_a_colour_profile() -> None:
    gray = Image.fromarray(PICTURE).convert("L")
    pixels = read(save(gray, "PNG", icc_profile=_made_profile(1.0, None)), LIMIT)
    assert np.abs(pixels[..., 0] - encoded(np.asarray(gray) / 255)).max() <= 1.5


def gamma_chunk(gamma: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(gamma * 1e5)))


def primaries_chunk(primaries: tuple[float, ...]) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 1e5) for value in primaries)))


def test_gamma_of_png_is_followed() -> None:
    pixels = read(png(PICTURE, 8, 2, gamma_chunk(1.0)), LIMIT)
    assert np.abs(pixels - encoded(PICTURE / 255)).max() <= 1.5


def test_primaries_of_png_are_followed() -> None:
    pixels = read(png(PICTURE, 8, 2, gamma_chunk(1 / 2.2), primaries_chunk(P3_PRIMARIES)), LIMIT)
    assert np.abs(pixels - expected_from_p3(PICTURE, 2.2)).max() <= 1.5


@pytest.mark.parametrize(
    "chunks",
    [
        (gamma_chunk(0.45455),),
        (gamma_chunk(0.45455), primaries_chunk((0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06))),
        (chunk(b"sRGB", b"\0"), gamma_chunk(1.0)),
        (gamma_chunk(0.0),),
        (gamma_chunk(1.0), primaries_chunk((0.0,) * 8)),
        (primaries_chunk(P3_PRIMARIES),),
    ],
    ids=["screen", "srgb-values", "srgb", "no-gamma", "no-primaries", "primaries-alone"],
)
def test_gammas_that_change_nothing(chunks: tuple[bytes, ...]) -> None:
    assert np.array_equal(read(png(PICTURE, 8, 2, *chunks), LIMIT), PICTURE)


def test_transparency_lies_on_srgbs_white() -> None:
    layer = Image.new("RGBA", (2, 1), (128, 128, 128, 0))
    layer.putpixel((1, 0), (128, 128, 128, 255))
    pixels = read(save(layer, "PNG", icc_profile=_made_profile(1.0, None)), LIMIT)
    assert pixels[0, :, 0].tolist() == [255, 188]


def test_inks_keep_their_meaning_without_a_profile() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 40)).convert("CMYK").save(buffer, "JPEG", quality=95)
    assert np.abs(read(buffer.getvalue(), LIMIT).astype(int) - (200, 30, 40)).max() < 16
