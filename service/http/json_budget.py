"""JSON bodies before they are parsed: in which encoding they are, and how much they hold, as each value costs a hundred
times its byte."""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from typing import Final

from service.errors import InvalidRequest

_STRUCTURE: Final = (b",", b":", b"[", b"{")
_TEXTS: Final = (b'"', b":", b"{")


def as_utf8(body: bytes) -> bytes:
    """Without a byte-order mark, in UTF-8 where the mark says UTF-16. Raises InvalidRequest."""
    if not body.startswith((BOM_UTF16_BE, BOM_UTF16_LE)):
        return body.removeprefix(BOM_UTF8)
    try:
        return body.decode("utf-16").encode()
    except UnicodeDecodeError:
        raise InvalidRequest("The JSON's byte-order mark says UTF-16, which it is not.") from None


def check_json(body: bytes, most_values: int, most_texts: int | None = None) -> None:
    """Raises InvalidRequest where `body` holds more values than `most_values`, names and lists counted. Those within
    texts count too; ours hold hardly any. What is no number costs several times as much: `most_texts` are the quotes,
    names and objects, where not all values may be such."""
    if most_texts is not None and len(body) > most_texts and sum(map(body.count, _TEXTS)) > most_texts:
        raise InvalidRequest("The JSON part holds more texts, names and objects than a request has use for.")
    if len(body) > most_values and sum(map(body.count, _STRUCTURE)) > most_values:
        raise InvalidRequest(
            f"The JSON part holds more than {most_values} values. Send tensors in the binary form, and images as files."
        )
