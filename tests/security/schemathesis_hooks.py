"""What Schemathesis cannot guess: names of tasks that exist, pictures, a deadline that can be kept.

Half of the requests get them.
"""

import base64
from typing import Any

import schemathesis
from hypothesis import strategies as st

from tests.support import ANSWERS, photo

FILES = [photo(file_format=name) for name in ("JPEG", "PNG", "WEBP")]
for media_type in ("image/jpeg", "image/png", "image/webp"):
    schemathesis.openapi.media_type(media_type, st.sampled_from([*FILES, b"", b"no image"]))


def chance(value: Any) -> bool:
    """The same for the same value."""
    return len(repr(value)) % 2 == 0


def known_task(value: Any) -> str:
    return sorted(ANSWERS)[len(repr(value)) % len(ANSWERS)]


def with_task(fields: Any) -> Any:
    if not isinstance(fields, dict) or not chance(fields):
        return fields
    return fields | {name: known_task(fields) for name in ("task", "name") if name in fields}


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: Any) -> Any:
    return with_task(path_parameters)


@schemathesis.hook
def map_query(context: Any, query: Any) -> Any:
    return {**(query or {}), "task": known_task(query)} if chance(query) else query


@schemathesis.hook
def map_headers(context: Any, headers: Any) -> Any:
    """Its favourite deadline is 0, which ends a request before anything else of it is looked at."""
    return {name: value for name, value in headers.items() if name != "X-VTV-Timeout-Ms"} if headers else headers


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    if not isinstance(body, dict) or not chance(body):
        return body
    files: dict[str, Any] = {"images": [base64.b64encode(FILES[0]).decode()], "image": FILES[:1]}
    files |= dict.fromkeys(("example_input", "example_output"), FILES[1])
    pixels = {"name": "image", "datatype": "UINT8", "shape": [1, 1, 2, 3], "data": [0, 1, 2, 253, 254, 255]}
    return with_task(body) | {name: files[name] for name in files if name in body} | (
        {"inputs": [pixels]} if "inputs" in body else {}
    )  # fmt: skip
