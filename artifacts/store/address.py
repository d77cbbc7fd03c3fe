"""Where a store lies: a folder, or a URL of object storage. Loads nothing: the command line reads addresses."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

SCHEMES = ("s3", "gs", "az")
StoreAddress = Path | str
"""A folder, or a URL of one of SCHEMES."""


def store_address(text: str) -> StoreAddress:
    """`s3://bucket/prefix` and its like as they are; `file:` URLs and paths as a path. Raises ValueError."""
    scheme, _, rest = text.partition(":")
    if scheme == "file" and rest.startswith("/"):
        return Path(unquote(urlsplit(text).path))
    if not rest.startswith("//"):
        return Path(text)
    if scheme not in SCHEMES:
        raise ValueError(f"a store is a folder, or a URL that begins with file:, {', '.join(f'{s}:' for s in SCHEMES)}")
    if not urlsplit(text).netloc:
        raise ValueError(f"{text} names no bucket")
    return text
