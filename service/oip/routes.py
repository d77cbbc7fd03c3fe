"""`/v2`: the Open Inference Protocol. Each task is a model; its version is the artifact's hash."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from engine.classification.head import Head
from service.errors import ClientClosed, NotFound
from service.http.auth import SECURITY
from service.http.infer_handler import InferHandler
from service.http.openapi import PROBLEM
from service.oip.openapi import TENSORS
from service.oip.replies import tensor_reply
from service.oip.schemas import Live, ModelMetadata, ModelReady, Ready, ServerMetadata, TensorMetadata
from service.oip.tensors import JSON_SIZE_HEADER, TensorCall, json_part, read_tensors
from service.pipeline.call import Outcome
from service.tasks.registry import TaskRegistry

_PREFIX: Final = "/v2"
_VERSION: Final = "/versions/{version}"
_TAG: Final = "Open Inference Protocol"
_PLATFORM: Final = "visual_task_vectors"
_SHORT_JSON: Final = 1 << 14
"""Bytes that are read sooner than another thread would begin to; numbers in a longer one would hold up the loop."""


def v2_routes(handler: InferHandler, check_ready: Callable[[], None], version: str) -> APIRouter:
    """All but inference. `check_ready` raises NotReady; `version` is the server's."""
    router = APIRouter(prefix=_PREFIX, tags=[_TAG])
    registry = handler.pipeline.registry
    unready: dict[int | str, dict[str, Any]] = dict.fromkeys((404, 500, 503), PROBLEM)

    @router.get("", summary="The server")
    async def server() -> ServerMetadata:
        return ServerMetadata(name=_PLATFORM, version=version, extensions=["binary_tensor_data"])

    @router.get("/health/live", summary="Alive")
    async def live() -> Live:
        return Live()

    @router.get("/health/ready", summary="Warmed up, checked, not draining", responses={503: PROBLEM})
    async def ready() -> Ready:
        check_ready()
        return Ready()

    @router.get("/models/{task}", summary="Inputs and outputs of a task", responses={404: PROBLEM})
    @router.get(f"/models/{{task}}{_VERSION}", summary="The same, of one version", responses={404: PROBLEM})
    async def model(task: str, version: str = "") -> ModelMetadata:
        _check_version(registry, task, version)
        installed, tile = registry.task(task), handler.pipeline.tile
        inputs = ["image", *(["mask"] if "mask" in installed.info.takes else [])]
        outputs = [TensorMetadata(name="answer", datatype="UINT8", shape=[-1, tile, tile, 3])]
        if isinstance(installed.content, Head):
            classes = len(installed.content.labels)
            outputs = [
                TensorMetadata(name="scores", datatype="FP32", shape=[-1, classes]),
                TensorMetadata(name="labels", datatype="BYTES", shape=[classes]),
            ]
        return ModelMetadata(
            name=task,
            versions=[installed.hash],
            platform=_PLATFORM,
            inputs=[TensorMetadata(name=name, datatype="UINT8", shape=[-1, -1, -1, 3]) for name in inputs],
            outputs=outputs,
        )

    @router.get("/models/{task}/ready", summary="A task is installed and in service", responses=unready)
    @router.get(f"/models/{{task}}{_VERSION}/ready", summary="A version is served", responses=unready)
    async def model_ready(task: str, version: str = "") -> ModelReady:
        _check_version(registry, task, version)
        registry.served(task)
        check_ready()
        return ModelReady(name=task)

    return router


def tensor_routes(handler: InferHandler, max_images: int) -> APIRouter:
    """Inference. `max_images` are let into one request."""
    router = APIRouter(prefix=_PREFIX, tags=[_TAG])
    description = TENSORS | {"security": SECURITY} if handler.authenticator.asks_for_keys else TENSORS

    registry = handler.pipeline.registry

    @router.post("/models/{task}/infer", summary="Answer tensors", response_class=Response, openapi_extra=description)
    @router.post(
        f"/models/{{task}}{_VERSION}/infer",
        summary="Answer tensors with one version",
        response_class=Response,
        openapi_extra=description,
    )
    async def infer(task: str, request: Request, version: str = "") -> Response:
        """Paint the answer to each image, or tell its classes. `service/oip/tensors.py` and `replies.py` say which
        forms a tensor may have."""

        async def read() -> TensorCall:
            _check_version(registry, task, version)
            try:
                body = await request.body()
            except ClientDisconnect:
                raise ClientClosed from None
            json_size = request.headers.get(JSON_SIZE_HEADER)
            asked = body, json_size, task, max_images, registry.classifies(task)
            if json_part(json_size, len(body)) <= _SHORT_JSON:
                return read_tensors(*asked)
            return await asyncio.to_thread(read_tensors, *asked)

        async def write(call: TensorCall, outcome: Outcome) -> Response:
            if call.binary:
                return tensor_reply(call, outcome)
            return await asyncio.to_thread(tensor_reply, call, outcome)

        return await handler.answer(request, read, write)

    return router


def _check_version(registry: TaskRegistry, task: str, version: str) -> None:
    """Raises UnknownTask, and NotFound where a version is named that the task does not have now."""
    if version not in ("", registry.task(task).hash):
        raise NotFound("The task has no such version: its metadata lists the one that is served.")
