"""JPEG files to pixels."""

import io
import re
from typing import Final

import numpy as np
import simplejpeg
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from artifacts.pictures.errors import PILLOW_REFUSES, BrokenPicture
from artifacts.pictures.header import ARITHMETIC, PROGRESSIVE, jpeg_frame
from artifacts.pictures.layers import flattened
from artifacts.pictures.limits import PictureLimits
from artifacts.pictures.metadata import Metadata, jpeg_segments
from artifacts.pictures.scans import has_all_scans
from engine.geometry import Pixels

_SPACES: Final = {"YCbCr": "RGB", "RGB": "RGB", "Gray": "GRAY", "CMYK": "CMYK", "YCCK": "CMYK"}
"""What a file's colours are decoded to where that is not yet sRGB."""
_INKS: Final = ("CMYK", "YCCK")
_END, _SCAN = b"\xff\xd9", b"\xff\xda"
_BEHIND: Final = bytes(16) + b"\x55" * 512
"""Behind a whole file's pixels. The zeros are what arithmetic coding may leave out at its end."""
_PLAIN, _CONVERTED, _PROGRESSIVE = 4, 16, 9
"""Bytes a pixel while it is decoded: as it is, into other colours, and beside either for a progressive file's
coefficients."""
# Scaled decoding keeps at least this many times the side needed, so that the resize that follows still sees
# detail to average: a photo of 320 px comes out within 47 to 52 dB of a full decode, its JPEG noise is 48 to 56.
_DRAFT_MARGIN: Final = 1.4
_DRAFT_SCALES: Final = (8, 4, 2)
"""Of these the decoder has vector code; it is slower at those between."""
_ADOBE: Final = 0xEE
"""The segment that says how colours are stored."""
_LACKING: Final = re.compile(
    r"premature end|bad Huffman code|bad arithmetic code|instead of RST|before marker 0xd[0-7]", re.I
)
"""What the decoder, libjpeg, says of a file whose pixels are not all there; it would make gray of the others."""


def read_jpeg(data: bytes, about: Metadata, limits: PictureLimits, at_least: int | None) -> Pixels:
    """RGB uint8 [H,W,3] as stored, in sRGB; raises BrokenPicture or TooLarge. `at_least` as in `read`."""
    frame = jpeg_frame(data)
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
    except (ValueError, KeyError):
        return _rare(data, frame, about, limits, at_least)
    if frame is not None and frame[0] in ARITHMETIC:
        return _rare(data, frame, about, limits, at_least)
    scale = _scaled(height, width, at_least)
    progressive = frame is None or frame[0] in PROGRESSIVE
    if progressive:
        limits.check_scans(data.count(_SCAN))
    plain = colours not in _INKS and not about.icc
    share = scale["min_height"] * scale["min_width"] / (height * width)
    limits.check(width, height, (_PLAIN if plain else _CONVERTED) * share + (_PROGRESSIVE if progressive else 0))
    # A file that lacks nothing but its end is whole; of one that lacks more, the decoder then says so.
    whole = data if data.endswith(_END) else data + _END
    space = _SPACES[colours] if about.icc or colours in _INKS else "RGB"
    if not has_all_scans(data):
        raise BrokenPicture
    try:
        pixels = simplejpeg.decode_jpeg(whole, space, **scale)
    except ValueError as error:
        if _LACKING.search(str(error)):
            raise BrokenPicture from None
        return _leniently(data, about, at_least)
    if space == "RGB" and not about.icc:
        return np.asarray(pixels)
    if space == "CMYK":
        pixels = 255 - pixels  # as everybody stores them
    mode = "L" if space == "GRAY" else space
    return flattened(Image.frombytes(mode, (pixels.shape[1], pixels.shape[0]), pixels), about)


def _scaled(height: int, width: int, at_least: int | None) -> dict[str, int]:
    """The least size that the decoder may give."""
    shortest = min(width, height)
    enough = shortest if at_least is None else at_least * _DRAFT_MARGIN
    scale = next((scale for scale in _DRAFT_SCALES if shortest >= scale * enough), 1)
    return {"min_height": -(-height // scale), "min_width": -(-width // scale)}


def _rare(
    data: bytes, frame: tuple[int, int, int] | None, about: Metadata, limits: PictureLimits, at_least: int | None
) -> Pixels:
    """A file whose subsampling the strict decoder does not know, or to whose header it objects, or in arithmetic
    coding, of which it does not tell where something lacks. That is seen by what stands behind the pixels: in a whole
    file it changes none."""
    if frame is None or not has_all_scans(data):
        raise BrokenPicture
    marker, width, height = frame
    if marker in PROGRESSIVE:
        limits.check_scans(data.count(_SCAN))
    limits.check(width, height, _CONVERTED + (_PROGRESSIVE if marker in PROGRESSIVE else 0))
    ends = data.rfind(_END)
    body = data[:ends] if ends >= 0 else data
    pixels = _leniently(body + _END, about, at_least)
    if not np.array_equal(pixels, _leniently(body + _BEHIND + _END, about, at_least)):
        raise BrokenPicture
    return pixels


def _leniently(data: bytes, about: Metadata, at_least: int | None) -> Pixels:
    """What a strict decoder objects to, bytes too many say, Pillow may still read."""
    try:
        image = JpegImageFile(io.BytesIO(_bare(data)))
        if at_least is not None:
            enough = round(at_least * _DRAFT_MARGIN)
            image.draft(None, (enough, enough))
        image.load()
    except PILLOW_REFUSES:
        raise BrokenPicture from None
    return flattened(image, about)


def _bare(data: bytes) -> bytes:
    """Without metadata, which Pillow refuses a whole picture for."""
    kept, at = [data[:2]], 2
    for marker, _, end in jpeg_segments(data):
        if not 0xE1 <= marker <= 0xEF or marker == _ADOBE:
            kept.append(data[at:end])
        at = end
    return b"".join((*kept, data[at:]))
