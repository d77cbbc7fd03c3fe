"""The description of tensor inference that cannot be read off a function's signature."""

from typing import Any, Final

from service.http.openapi import BINARY, PROBLEMS, REPLY_HEADERS, REQUEST_HEADERS, inlined
from service.oip.schemas import TensorReply, TensorRequest

TENSORS: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "Inference-Header-Content-Length",
            "in": "header",
            "schema": {"type": "integer", "minimum": 0},
            "description": "Bytes of the JSON part, where tensors follow it (binary tensor extension).",
        },
        *REQUEST_HEADERS,
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": inlined(TensorRequest)},
            "application/octet-stream": {"schema": BINARY},
        },
    },
    "responses": {
        "200": {
            "description": "One output, `answer`, or of a classification `scores` and `labels`; in the binary form "
            "where the request asks for that.",
            "headers": REPLY_HEADERS,
            "content": {
                "application/json": {"schema": inlined(TensorReply)},
                "application/octet-stream": {"schema": BINARY},
            },
        },
        **PROBLEMS,
    },
}
