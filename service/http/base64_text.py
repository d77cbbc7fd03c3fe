"""Base64 as clients write it: there are more ways than one, and all of them say the same bytes."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from service.errors import InvalidImage

_TO_PLAIN: Final = str.maketrans("-_", "+/", " \t\r\n\f\v=")
"""The url-safe alphabet to the common one; line breaks and padding left out."""
_ESCAPED: Final = {"%2B": "+", "%2F": "/", "%3D": "=", "%0A": "", "%0D": "", "%20": ""}
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
        text = text.lstrip()
        if text[:5].lower() == "data:":
            head, _, text = text.partition(",")
            if not head.lower().rstrip().endswith("base64"):
                raise
            for escaped, character in _ESCAPED.items():
                text = text.replace(escaped, character).replace(escaped.lower(), character)
        plain = text.translate(_TO_PLAIN)
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
