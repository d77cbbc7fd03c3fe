"""Base64 as clients write it: there are more ways than one, and all of them say the same bytes."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from service.errors import InvalidImage

_TO_COMMON: Final = bytes.maketrans(b"-_", b"+/")
"""The url-safe alphabet to the common one."""
_LEFT_OUT: Final = b" \t\r\n\f\v="
"""Line breaks and padding."""
_ESCAPED: Final = {b"%2B": b"+", b"%2F": b"/", b"%3D": b"=", b"%0A": b"", b"%0D": b"", b"%20": b""}
"""As addresses write them."""


def decoded_files(texts: Sequence[str], what: str) -> list[bytes]:
    """Files of base64 texts; raises InvalidImage, which begins with `what`: "An image"."""
    try:
        return [_decoded(text) for text in texts]
    except (binascii.Error, ValueError):
        raise InvalidImage(f"{what} is not valid base64.") from None


def _decoded(text: str) -> bytes:
    """Plain, url-safe, wrapped, without padding, or as a data URI (RFC 2397). Raises ValueError."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        encoded = text.encode("ascii").lstrip()
        if encoded[:5].lower() == b"data:":
            head, _, encoded = encoded.partition(b",")
            if not head.lower().rstrip().endswith(b"base64"):
                raise
            if b"%" in encoded:
                for escaped, character in _ESCAPED.items():
                    encoded = encoded.replace(escaped, character).replace(escaped.lower(), character)
        plain = encoded.translate(_TO_COMMON, _LEFT_OUT)
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
