"""`POST /infer`: images and a task name in, the model's answers out."""

import asyncio
from time import monotonic
from typing import Final

from fastapi import APIRouter, Request, Response

from service.auth import SECURITY, Door
from service.calls import read_call
from service.errors import DeadlineExceeded, InvalidRequest, ServiceError, problem
from service.flight import Timing
from service.metrics import Metrics, Tracked
from service.openapi import INFER
from service.pipeline import Pipeline
from service.replies import reply
from service.settings import Settings

_TIMEOUT_HEADER: Final = "X-VTV-Timeout-Ms"


def infer_routes(pipeline: Pipeline, metrics: Metrics, settings: Settings, door: Door, model: str) -> APIRouter:
    """`model` is the fingerprint that replies name."""
    router = APIRouter(tags=["inference"])
    description = INFER | {"security": SECURITY} if door.asks_for_keys else INFER

    async def answer(request: Request, tracked: Tracked) -> Response:
        door.may_infer(request.headers)
        deadline = monotonic() + _timeout_seconds(request, settings.timeout_ms)
        try:
            async with asyncio.timeout(deadline - monotonic()):
                call = await read_call(request, settings.images_per_request)
        except TimeoutError:
            raise DeadlineExceeded from None
        if call.options.task is not None:
            tracked.task = pipeline.registry.artifact(call.options.task).task
        outcome = await pipeline.answer(call, request.receive, deadline)
        response = reply(call, request.headers.get("accept", ""), outcome, model)
        response.headers["Server-Timing"] = outcome.timing.header()
        if outcome.artifact is not None:
            response.headers["X-VTV-Artifact"] = outcome.artifact.hash
        return response

    @router.post("/infer", summary="Answer images", response_class=Response, openapi_extra=description)
    async def infer(request: Request) -> Response:
        """Paint the answer to each image, for a task (zero-shot) or after an example pair (one-shot)."""
        try:
            with metrics.request() as tracked:
                return await answer(request, tracked)
        except ServiceError as error:
            response = problem(error)
            response.headers["Server-Timing"] = Timing().header()
            return response

    return router


def _timeout_seconds(request: Request, longest_ms: int) -> float:
    """The request's own deadline where it is shorter than the server's."""
    given = request.headers.get(_TIMEOUT_HEADER)
    if given is None:
        return longest_ms / 1e3
    if not (given.isascii() and given.isdecimal() and len(given) < 10):
        raise InvalidRequest(f"{_TIMEOUT_HEADER} must be a whole number of milliseconds.")
    return min(int(given), longest_ms) / 1e3
