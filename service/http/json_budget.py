"""How much a JSON body may hold, counted before it is parsed: each value costs a hundred times its byte."""

from typing import Final

from service.errors import InvalidRequest

_STRUCTURE: Final = (b",", b":", b"[", b"{")


def check_json(body: bytes, most_values: int) -> None:
    """Raises InvalidRequest where `body` holds more values than `most_values`, names and lists counted. Those within
    texts count too; ours hold hardly any."""
    if len(body) > most_values and sum(map(body.count, _STRUCTURE)) > most_values:
        raise InvalidRequest(
            f"The JSON part holds more than {most_values} values. Send tensors in the binary form, and images as files."
        )
