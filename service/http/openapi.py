"""The parts of the API's description that cannot be read off a function's signature."""

from typing import Any, Final

from pydantic import BaseModel

from service.http.schemas import ClassesReply, InferReply, InferRequest, Problem
from service.pipeline.call import Options

BINARY: Final = {"type": "string", "format": "binary"}
_IMAGES: Final = ("image/jpeg", "image/png", "image/webp")

PROBLEM: Final[dict[str, Any]] = {
    "description": "Problem details",
    "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
}
_CODES: Final = {
    "400": "invalid_request: a field is missing or wrong",
    "401": "unauthorized: a valid key is needed",
    "404": "unknown_task: `tasks` lists what is installed",
    "413": "payload_too_large",
    "415": "unsupported_media: neither a form, JSON, nor a JPEG, PNG or WebP file",
    "422": "invalid_image: a file could not be read",
    "429": "queue_full: see Retry-After",
    "500": "internal",
    "503": "not_ready: see Retry-After",
    "504": "deadline_exceeded",
}
PROBLEMS: Final[dict[str, Any]] = {status: {**PROBLEM, "description": about} for status, about in _CODES.items()}
"""Of an inference request, by status."""


def inlined(model: type[BaseModel]) -> dict[str, Any]:
    """A schema that stands on its own: references into its own definitions resolved."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def resolve(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return resolve(definitions[node["$ref"].rpartition("/")[2]])
            return {key: resolve(value) for key, value in node.items()}
        return [resolve(value) for value in node] if isinstance(node, list) else node

    resolved: dict[str, Any] = resolve(schema)
    return resolved


def _form(**files: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": ["image"], "properties": {**inlined(Options)["properties"], **files}}


_FILES: Final = {"type": "array", "items": BINARY, "minItems": 1, "description": "Repeat for several."}
_MASKS: Final = {**_FILES, "description": "For tasks that fill holes: of the image's size, white where to paint."}
REPLY_HEADERS: Final = {
    name: {"description": about, "schema": {"type": "string"}}
    for name, about in (
        ("X-Request-ID", "The caller's own where it is sane."),
        ("Server-Timing", "queue, decode, compute, encode in milliseconds, waiting for each included."),
        ("X-VTV-Confidence", "0 to 1, where it was measured; of several answers, the least."),
        ("X-VTV-Artifact", "SHA-256 of the artifact's file, where a task was asked for."),
    )
}

REQUEST_HEADERS: Final[list[dict[str, Any]]] = [
    {
        "name": "X-VTV-Timeout-Ms",
        "in": "header",
        "schema": {"type": "integer", "minimum": 0},
        "example": 10_000,
        "description": "Past it the answer is 504, and nothing is computed that had not started.",
    },
    {
        "name": "X-Request-ID",
        "in": "header",
        "schema": {"type": "string", "maxLength": 128},
        "description": "Returned with the reply.",
    },
]


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    about = f"For the raw form. {schema.get('description', '')}"
    return {"name": name, "in": "query", "schema": schema, "description": about}


INFER: Final[dict[str, Any]] = {
    "parameters": [
        *(_query(name, schema) for name, schema in inlined(Options)["properties"].items()),
        *REQUEST_HEADERS,
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                # One schema for both kinds of form: generators of requests, and the page, make little of a choice.
                "schema": _form(image=_FILES, mask=_MASKS, example_input=BINARY, example_output=BINARY)
                | {"description": "A task, or a solved pair (example_input and example_output): one of the two."}
            },
            "application/json": {"schema": inlined(InferRequest)},
            **{media_type: {"schema": BINARY} for media_type in _IMAGES},
        },
    },
    "responses": {
        "200": {
            "description": "The answer's file, or JSON where several images or JSON were asked for, and for classes.",
            "headers": REPLY_HEADERS,
            "content": {
                **{media_type: {"schema": BINARY} for media_type in _IMAGES},
                "application/json": {"schema": {"anyOf": [inlined(InferReply), inlined(ClassesReply)]}},
            },
        },
        **PROBLEMS,
    },
}
