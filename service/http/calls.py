"""Reads the forms of `POST /infer` into one: a Call."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal

from pydantic import ValidationError
from starlette.datastructures import FormData, QueryParams, UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request

from service.errors import ClientClosed, InvalidRequest, UnsupportedMedia
from service.http.base64_text import decoded_files
from service.http.json_budget import as_utf8, check_json
from service.http.schemas import InferRequest
from service.pipeline.call import Call, Options

Form = Literal["raw", "json", "multipart"]
_FILES: Final = frozenset({"image", "mask", "example_input", "example_output"})
_FIELDS_AT_MOST, _VALUES_AN_IMAGE = 1000, 8
"""JSON values of a request that is worth reading: an image and its mask are two texts, which may be data URIs."""
_MOST_FORM_FIELDS: Final = 32
"""Texts of a form: each option is one."""
_LONGEST_MEDIA_TYPE: Final = 1000
"""Characters, parameters included: a form's boundary has 70 at most (RFC 2046, 5.1.1)."""
_LONGEST_NAME: Final = 100
"""Characters of a name that a client sent, in the complaint about it."""
_TASK_OR_EXAMPLE: Final = "Give a task, or example_input and example_output: one of the two."


@dataclass(frozen=True, slots=True)
class InferCall(Call):
    """A call of `POST /infer`."""

    form: Form = field(kw_only=True)


async def read_call(request: Request, max_images: int) -> InferCall:
    """Read and check a request's body. Raises the ServiceError that says what is wrong with it."""
    content_type = request.headers.get("content-type", "")
    if len(content_type) > _LONGEST_MEDIA_TYPE:
        raise InvalidRequest(f"The Content-Type header is longer than {_LONGEST_MEDIA_TYPE} characters.")
    media_type = content_type.partition(";")[0].strip().lower()
    try:
        if media_type == "multipart/form-data":
            call = await _read_form(request, max_images)
        elif media_type == "application/json":
            call = await asyncio.to_thread(_from_json, await request.body(), max_images)
        elif media_type.startswith("image/"):
            call = await _read_raw(request)
        else:
            raise UnsupportedMedia
    except ClientDisconnect:
        raise ClientClosed from None
    if len(call.images) > max_images:
        raise InvalidRequest(f"A request may hold at most {max_images} images.")
    check_masks(call)
    return call


def task_in(query: bytes) -> str:
    """The task that an address's query names; empty where it names none."""
    return _values(query).get("task", "")


@lru_cache
def _values(query: bytes) -> Mapping[str, str]:
    values = dict(_parameters(query))
    # No task's name holds a space: it is the + of a composition, as it is written in a query.
    return values | {"task": values["task"].replace(" ", "+")} if "task" in values else values


@lru_cache
def _parameters(query: bytes) -> list[tuple[str, str]]:
    return QueryParams(query).multi_items()


@lru_cache
def _options(query: bytes) -> Options:
    for name, count in Counter(name for name, _ in _parameters(query)).items():
        if count > 1:  # one of its values would be passed over in silence
            raise InvalidRequest(f"{name[:_LONGEST_NAME]}: Given more than once.")
    return read_options(_values(query))


async def _read_raw(request: Request) -> InferCall:
    """What the address says is looked at before the body is read."""
    options = _options(request.scope["query_string"])
    if options.task is None:
        raise InvalidRequest("The query parameter task is missing.")
    body = await request.body()
    if not body:
        raise InvalidRequest("The body is empty: it must be the image file.")
    return InferCall(options, [body], form="raw")


def _from_json(body: bytes, max_images: int) -> InferCall:
    body = as_utf8(body)
    check_json(body, _FIELDS_AT_MOST + _VALUES_AN_IMAGE * max_images)
    try:
        asked = InferRequest.model_validate_json(body)
    except ValidationError as error:
        raise InvalidRequest(complaint(error)) from None
    images, masks = decoded_files(asked.images, "An image"), decoded_files(asked.masks or [], "A mask")
    return InferCall(asked, images, masks=masks, form="json")


def check_masks(call: Call) -> None:
    """Raises InvalidRequest."""
    if call.masks and len(call.masks) != len(call.images):
        raise InvalidRequest("mask: there must be one for each image, in their order.")


async def _read_form(request: Request, max_images: int) -> InferCall:
    """Images and masks, an example, and options: what is more is not taken apart, as a part costs far more than its
    bytes. One image too many is still counted."""
    most_files = 2 * max_images + 2
    try:
        async with request.form(max_files=most_files, max_fields=_MOST_FORM_FIELDS) as form:
            return await _from_form(form)
    except MultiPartException:
        raise InvalidRequest(
            f"The multipart body is malformed, or holds more than {most_files} files or {_MOST_FORM_FIELDS} fields."
        ) from None


async def _from_form(form: FormData) -> InferCall:
    # What is no file of ours is an option, and refused by its name if it is none.
    options = read_options({name: form[name] for name in form if name not in _FILES})
    images, masks = await _files(form, "image"), await _files(form, "mask")
    pair = await _files(form, "example_input"), await _files(form, "example_output")
    if not images:
        raise InvalidRequest("The field image is missing: send at least one file under that name.")
    if not any(pair):
        if options.task is None:
            raise InvalidRequest(f"The field task is missing. {_TASK_OR_EXAMPLE}")
        return InferCall(options, images, masks=masks, form="multipart")
    if options.task is not None:
        raise InvalidRequest(_TASK_OR_EXAMPLE)
    if len(pair[0]) != 1 or len(pair[1]) != 1:
        raise InvalidRequest("A one-shot request needs one example_input and one example_output file.")
    return InferCall(options, images, (pair[0][0], pair[1][0]), masks=masks, form="multipart")


async def _files(form: FormData, name: str) -> list[bytes]:
    parts = form.getlist(name)
    files = [part for part in parts if isinstance(part, UploadFile)]
    if len(files) != len(parts):
        raise InvalidRequest(f"The field {name} must be a file.")
    return [await part.read() for part in files if is_given(part)]


def is_given(part: UploadFile) -> bool:
    """A browser sends a file field that was left empty, too: without a name and without a byte."""
    return bool(part.filename or part.size)


def read_options(values: Mapping[str, object]) -> Options:
    """Raises InvalidRequest for an unknown option or value."""
    try:
        return Options.model_validate(values)
    except ValidationError as error:
        raise InvalidRequest(complaint(error)) from None


def complaint(error: ValidationError) -> str:
    """The first thing wrong, in pydantic's words, which never repeat what was sent."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(str(part)[:_LONGEST_NAME] for part in first["loc"])
    return f"{where}: {first['msg']}." if where else f"{first['msg']}."
