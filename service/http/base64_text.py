"""Base64 as clients write it: there are more ways than one, and all of them say the same bytes."""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final

from service.errors import InvalidImage

_DATA_URI: Final = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_TO_PLAIN: Final = str.maketrans("-_", "+/", " \t\r\n=")
"""The url-safe alphabet to the common one; line breaks and padding left out."""


def decoded_files(texts: Sequence[str], what: str) -> list[bytes]:
    """Files of base64 texts; raises InvalidImage, which begins with `what`: "An image"."""
    try:
        return [_decoded(text) for text in texts]
    except (binascii.Error, ValueError):
        raise InvalidImage(f"{what} is not valid base64.") from None


def _decoded(text: str) -> bytes:
    """Plain, url-safe, wrapped, without padding, or as a data URI. Raises ValueError."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        plain = _DATA_URI.sub("", text, count=1) if text[:5].lower() == "data:" else text
        plain = plain.translate(_TO_PLAIN)
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
