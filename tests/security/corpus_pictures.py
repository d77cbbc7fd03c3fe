"""Picture files of every format, cut, lied about and odd; each with the status of its answer."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.picture_files import chunk
from tests.security.hostile_pictures import END, blank, header, palette_png

Cases = Iterator[tuple[str, int, bytes]]
NOISE = np.random.default_rng(5).integers(0, 256, (40, 52, 3), np.uint8)


def saved(file_format: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(NOISE).convert(mode).save(buffer, file_format, **options)
    return buffer.getvalue()


def whole() -> dict[str, bytes]:
    """Files that are right, each of another kind."""
    frames = [Image.fromarray(NOISE), Image.fromarray(255 - NOISE)]
    deep = io.BytesIO()
    Image.fromarray(NOISE[:, :, 0].astype(np.uint16) * 257).save(deep, "PNG")
    return {
        "PNG": saved("PNG"),
        "PNG, transparent": saved("PNG", "RGBA"),
        "PNG, palette": saved("PNG", "P"),
        "PNG, gray": saved("PNG", "L"),
        "PNG, gray and transparent": saved("PNG", "LA"),
        "PNG, black and white": saved("PNG", "1"),
        "PNG, 16 bits": deep.getvalue(),
        "PNG, animated": saved("PNG", save_all=True, append_images=frames),
        "JPEG": saved("JPEG"),
        "JPEG, gray": saved("JPEG", "L"),
        "JPEG, progressive": saved("JPEG", progressive=True),
        "JPEG, CMYK": saved("JPEG", "CMYK"),
        "JPEG, thirds of colour": saved("JPEG", subsampling=0),
        "WebP": saved("WEBP"),
        "WebP, lossless": saved("WEBP", lossless=True),
        "WebP, transparent": saved("WEBP", "RGBA"),
        "WebP, animated": saved("WEBP", save_all=True, append_images=frames),
    }


def right() -> Cases:
    for kind, file in whole().items():
        yield f"{kind}, whole", 200, file
        yield f"{kind}, with a tail of rubbish", 200, file + b"rubbish" * 100


def cut() -> Cases:
    """A file that ends early is refused, wherever: half a picture answered would be a wrong answer in silence."""
    for kind, file in whole().items():
        if "animated" in kind:
            continue  # the first picture may be there, whole
        for share in (0.0, 0.02, 0.3, 0.7, 0.85):
            data = file[: int(len(file) * share)]
            yield f"{kind}, {share:.0%} of it", 400 if not data else 422, data


def profiles() -> Cases:
    """Profiles and metadata that make no sense are nobody's business."""
    for kind, broken in (("no profile", b"x" * 300), ("half a profile", b"\0\0\2\0" + b"lcms" * 20)):
        for file_format in ("PNG", "JPEG", "WEBP"):
            yield f"{file_format}, {kind}", 200, saved(file_format, icc_profile=broken)
    turned = b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\x06\0\0\0\0\0\0"
    for kind, exif in (
        ("cut", turned[:12]),
        ("of no orientation", turned.replace(b"\0\x06", b"\0\x63")),
        ("that points out of itself", turned[:8] + b"\xff\xff" + turned[10:]),
        ("in a circle", turned[:-4] + b"\0\0\0\x08"),
        ("of zeros", bytes(40)),
    ):
        for file_format in ("PNG", "JPEG", "WEBP"):
            yield f"{file_format}, EXIF {kind}", 200, saved(file_format, exif=b"Exif\0\0" + exif)


def png() -> Cases:
    """PNG's own."""
    row = zlib.compress(b"\0" + bytes(4))
    yield "PNG, more rows than it says", 200, header(4, 1) + chunk(b"IDAT", zlib.compress(bytes(5000))) + END
    yield "PNG, fewer rows than it says", 422, header(4, 9) + chunk(b"IDAT", row) + END
    yield (
        "PNG, ten megabytes of zeros in one row",
        200,
        header(4, 1) + chunk(b"IDAT", zlib.compress(bytes(10_000_000))) + END,
    )
    yield "PNG, no data", 422, header(4, 4) + END
    yield "PNG, no header", 422, header(4, 4)[:8] + chunk(b"IDAT", row) + END
    yield "PNG, two headers", 200, header(4, 1) + header(4, 1)[8:] + chunk(b"IDAT", row) + END
    yield "PNG, a wrong checksum", 422, header(4, 1)[:-1] + b"x" + chunk(b"IDAT", row) + END
    yield "PNG, data that is no zlib", 422, header(4, 1) + chunk(b"IDAT", b"hello") + END
    yield "PNG, a filter that is none", 422, header(4, 1) + chunk(b"IDAT", zlib.compress(b"\x09" + bytes(4))) + END
    yield "PNG, a palette index beyond the palette", 200, palette_png(chunk(b"PLTE", bytes(3)), pixel=200)
    yield "PNG, a palette of 300", 422, palette_png(chunk(b"PLTE", bytes(900)))
    for depth, kind in ((2, 2), (4, 6), (1, 4), (16, 3), (7, 0), (0, 2), (32, 2)):
        yield f"PNG, {depth} bits of kind {kind}", 422, blank_like(depth, kind)
    yield "PNG, a compression that is none", 200, _png_methods(1, 0, 0)
    yield "PNG, a filter method that is none", 422, _png_methods(0, 1, 0)
    yield "PNG, an interlacing that is none", 422, _png_methods(0, 0, 2)
    for side in (1, 2, 100):
        yield f"PNG, one pixel by {side}", 200, blank(1, side)
    yield "PNG, one pixel by 101", 422, blank(1, 101)
    yield "PNG, 101 by one pixel", 422, blank(101, 1)
    yield "PNG, text of a megabyte", 200, blank(4, 4, between=chunk(b"tEXt", b"a\0" + b"x" * 1_000_000))
    bomb = b"a\0\0" + zlib.compress(bytes(50_000_000), 9)
    yield "PNG, packed text of 50 megabytes", 200, blank(4, 4, between=chunk(b"zTXt", bomb))
    profile = b"a\0\0" + zlib.compress(bytes(50_000_000), 9)
    yield "PNG, a packed profile of 50 megabytes", 200, blank(4, 4, between=chunk(b"iCCP", profile))
    yield "PNG, a chunk that nobody knows", 200, blank(4, 4, between=chunk(b"vTVx", b"hello"))
    yield "PNG, a chunk that everybody must know", 200, blank(4, 4, between=chunk(b"VTVX", b"hello"))


def blank_like(depth: int, kind: int) -> bytes:
    return header(4, 4, depth, kind) + chunk(b"IDAT", zlib.compress(bytes(400))) + END


def _png_methods(compression: int, filtering: int, interlacing: int) -> bytes:
    said = struct.pack(">IIBBBBB", 4, 4, 8, 0, compression, filtering, interlacing)
    return header(4, 4)[:8] + chunk(b"IHDR", said) + chunk(b"IDAT", zlib.compress(bytes(20))) + END


def lies() -> Cases:
    """Sizes that are not the pixels'."""
    jpeg, webp = saved("JPEG"), saved("WEBP")
    frame = jpeg.index(b"\xff\xc0")
    for name, size in (("no rows", (0, 52)), ("no columns", (40, 0)), ("65,535 each way", (65535, 65535))):
        yield f"JPEG, {name}", 422, jpeg[: frame + 5] + struct.pack(">HH", *size) + jpeg[frame + 9 :]
    yield "JPEG, twice its rows", 422, jpeg[: frame + 5] + struct.pack(">H", 80) + jpeg[frame + 7 :]
    yield "JPEG, half of its bits and an end", 422, jpeg[: len(jpeg) // 2 + 200] + b"\xff\xd9"
    passes = saved("JPEG", progressive=True)
    yield "JPEG, without its last scan", 422, passes[: passes.rindex(b"\xff\xda")] + b"\xff\xd9"
    yield "JPEG, 12 bits a sample", 422, jpeg[: frame + 4] + b"\x0c" + jpeg[frame + 5 :]
    yield "JPEG, nine components", 422, jpeg[: frame + 9] + b"\x09" + jpeg[frame + 10 :]
    yield "JPEG, no tables", 422, jpeg.replace(b"\xff\xdb", b"\xff\xfe").replace(b"\xff\xc4", b"\xff\xfe")
    yield "WebP, a length beyond the file", 422, webp[:4] + struct.pack("<I", 2**31) + webp[8:]
    yield "WebP, a length of nothing", 422, webp[:4] + bytes(4) + webp[8:]
    yield "WebP, no key frame", 422, webp.replace(b"\x9d\x01\x2a", b"\x9d\x01\x2b")


def foreign() -> Cases:
    """Pictures of other formats, by name: 415. What is no picture that is known: 422."""
    for file_format in ("GIF", "BMP", "TIFF", "ICO", "PPM", "TGA", "JPEG2000", "AVIF"):
        try:
            yield f"{file_format}", 415, saved(file_format)
        except (OSError, KeyError):
            continue  # this build of the library does not write it
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    for kind, data in (
        ("SVG", svg),
        ("PDF", b"%PDF-1.7\n" + b"x" * 100),
        ("EPS that runs a command", b"%!PS-Adobe-3.0 EPSF-3.0\n(%pipe%id) (r) file\n"),
        ("MVG", b"push graphic-context\nfill 'url(https://127.0.0.1/|ls)'\npop graphic-context\n"),
        ("HTML", b"<html><script>alert(1)</script>"),
        ("zip", b"PK\x03\x04" + bytes(100)),
        ("gzip", b"\x1f\x8b" + bytes(100)),
        ("ELF", b"\x7fELF" + bytes(100)),
        ("zeros", bytes(1000)),
        ("ones", b"\xff" * 1000),
        ("text", b"hello, world, this is no picture"),
    ):
        yield kind, 415 if kind in ("SVG", "PDF", "EPS that runs a command") else 422, data


def pictures() -> Cases:
    for group in (right, cut, profiles, png, lies, foreign):
        yield from group()
