"""Picture files that are small and ask for much, or are damaged where decoders do not look; what answers each."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image

from tests.picture_files import chunk
from tests.support import photo

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = chunk(b"IEND", b"")


def header(width: int, height: int, depth: int = 8, kind: int = 0) -> bytes:
    return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))


def blank(width: int, height: int, depth: int = 8, kind: int = 0, between: bytes = b"") -> bytes:
    """A whole PNG of zeros, a thousandth of its pixels' bytes."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    row = bytes(1 + -(-width * depth * samples // 8))
    packer, parts = zlib.compressobj(9), []
    rows = max(1, (1 << 20) // len(row))
    for first in range(0, height, rows):
        parts.append(packer.compress(row * min(rows, height - first)))
    parts.append(packer.flush())
    return header(width, height, depth, kind) + between + chunk(b"IDAT", b"".join(parts)) + END


def scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is there so many times."""
    buffer = io.BytesIO()
    Image.new("RGB", (1600, 1600), "gray").save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def plain(file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((24, 32, 3), 90, np.uint8)).save(buffer, file_format, **options)
    return buffer.getvalue()


def segments(count: int) -> bytes:
    """A JPEG with so many empty comments before its frame."""
    data = plain("JPEG")
    return data[:2] + b"\xff\xfe\x00\x02" * count + data[2:]


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def palette_png(palette: bytes, pixel: int = 0) -> bytes:
    packed = zlib.compress(b"\0" + bytes([pixel] * 4))
    return header(4, 1, 8, 3) + palette + chunk(b"IDAT", packed) + END


FILES: dict[str, tuple[int, Callable[[], bytes]]] = {
    "one pixel wide": (422, lambda: blank(1, 25_000_000)),
    "one pixel high": (422, lambda: blank(25_000_000, 1)),
    "a ribbon": (422, lambda: blank(400, 60_000)),
    "pixels beyond the limit": (422, lambda: header(60_000, 60_000) + END),
    "pixels beyond all numbers": (422, lambda: header(2**31 - 1, 2**31 - 1) + END),
    "no width": (422, lambda: header(0, 10) + END),
    "25 megapixels, gray": (200, lambda: blank(5000, 5000)),
    "25 megapixels, transparent": (200, lambda: blank(5000, 5000, 8, 6)),
    "25 megapixels, a colour of 16 bits transparent": (422, lambda: blank(5000, 5000, 16, 2, chunk(b"tRNS", bytes(6)))),
    "25 megapixels, WebP": (422, lambda: webp(5000, 5000)),
    "a thousand scans": (422, lambda: scans(1000)),
    "twenty scans": (200, lambda: scans(10)),
    "thirty thousand segments": (200, lambda: segments(30_000)),
    "a hundred thousand chunks": (422, lambda: blank(4, 4, between=chunk(b"tEXt", b"") * 100_000)),
    "a chunk of two gigabytes": (422, lambda: header(4, 4) + struct.pack(">I", 2**31 - 1) + b"tEXt" + bytes(20)),
    "fill bytes without end": (422, lambda: b"\xff\xd8" + b"\xff" * 10_000_000),
    "no palette": (422, lambda: palette_png(b"")),
    "an empty palette": (422, lambda: palette_png(chunk(b"PLTE", b""))),
    "a palette of 13 bytes": (422, lambda: palette_png(chunk(b"PLTE", bytes(13)))),
    "no such bit depth": (422, lambda: blank(4, 4).replace(*(struct.pack(">IIBB", 4, 4, d, 0) for d in (8, 3)))),
    "no such colours": (422, lambda: blank(4, 4).replace(*(struct.pack(">IIBB", 4, 4, 8, k) for k in (0, 5)))),
    "half a PNG": (422, lambda: cut(plain("PNG"), 0.6)),
    "half a JPEG": (422, lambda: cut(photo(), 0.6)),
    "half a WebP": (422, lambda: cut(plain("WEBP"), 0.6)),
    "a WebP of nothing": (422, lambda: b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + bytes(14)),
    "a JPEG of nothing": (422, lambda: b"\xff\xd8\xff\xe0\xff\xd9"),
    "a frame of nothing": (422, lambda: b"\xff\xd8\xff\xc0\x00\x0b\x08" + bytes(8) + b"\xff\xd9"),
}
"""By what they are: the status, and the file."""


def webp(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "WEBP", lossless=True, method=0, quality=0)
    return buffer.getvalue()


@cache
def file(kind: str) -> bytes:
    return FILES[kind][1]()
