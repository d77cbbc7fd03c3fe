"""`POST /infer`: images and a task name in, the model's answers out."""

import asyncio
from typing import Final

from fastapi import APIRouter, Request, Response

from service.http.auth import SECURITY
from service.http.calls import InferCall, read_call
from service.http.infer_handler import InferHandler
from service.http.openapi import INFER
from service.http.replies import reply
from service.pipeline.call import Outcome, Painted

_MUCH: Final = 1 << 18
"""Bytes of files that would hold up the event loop while they become base64."""


def infer_routes(handler: InferHandler, max_images: int, model: str) -> APIRouter:
    """`max_images` are let into one request; `model` is the fingerprint that replies name."""
    router = APIRouter(tags=["inference"])
    description = INFER | {"security": SECURITY} if handler.authenticator.asks_for_keys else INFER

    @router.post("/infer", summary="Answer images", response_class=Response, openapi_extra=description)
    async def infer(request: Request) -> Response:
        """Paint the answer to each image, for a task (zero-shot) or after an example pair (one-shot); or tell its
        classes, where the task is a classification: always as JSON."""

        async def read() -> InferCall:
            return await read_call(request, max_images)

        async def write(call: InferCall, outcome: Outcome) -> Response:
            asked = call, request.headers.get("accept", ""), outcome, model
            if isinstance(outcome, Painted) and sum(len(answer.data) for answer in outcome.answers) > _MUCH:
                return await asyncio.to_thread(reply, *asked)
            return reply(*asked)

        return await handler.answer(request, read, write)

    return router
