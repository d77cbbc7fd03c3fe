"""Puts the service together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from artifacts.store import Store
from engine.runtime import Engine
from engine.task_vector import TaskVector
from service.auth import Door
from service.catalogue import Catalogue
from service.errors import InvalidRequest, ServiceError, from_http_exception, problem
from service.exchange import Exchange
from service.metrics import BuildInfo, Metrics
from service.middleware import RequestGuard
from service.pipeline import Pipeline
from service.registry import TaskRegistry
from service.routes.infer import infer_routes
from service.routes.operations import operation_routes
from service.routes.page import page_routes
from service.routes.tasks import task_routes
from service.routes.v2 import v2_routes
from service.schemas import Readiness
from service.settings import Settings

_DESCRIPTION = """An image and a task name in, the picture that MAE-VQGAN paints for that task out. No example
pair is sent: a *task vector* stands in for it."""


def create_app(engine: Engine, store: Store, settings: Settings) -> FastAPI:
    """The application around a loaded engine, which it warms up and then owns until it ends.

    `app.state.pipeline` is the running pipeline. Artifacts that do not fit the model are logged and left out.
    """
    passed_over = [line.partition(":")[0] for line in engine.fallbacks]
    build = BuildInfo(
        version("visual-task-vectors"), engine.model_name, engine.backend, str(engine.device), len(passed_over)
    )
    ready = Readiness(backend=build.backend, passed_over=passed_over)
    metrics = Metrics(build, engine.buckets)
    registry = TaskRegistry({}, settings.slots)
    catalogue = Catalogue(store, registry, partial(_check_fit, engine), metrics)
    catalogue.load()
    door = Door(settings)
    pipeline = Pipeline(engine, registry, metrics, settings)
    metrics.observe(pipeline.batcher, registry.slots)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        pipeline.start()
        watching = asyncio.create_task(catalogue.watch())
        yield
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await asyncio.to_thread(pipeline.stop)

    app = FastAPI(
        title="Visual Task Vectors",
        version=build.version,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.pipeline = pipeline
    exchange = Exchange(pipeline, metrics, door, settings.timeout_ms)
    app.include_router(infer_routes(exchange, settings.images_per_request, engine.fingerprint))
    app.include_router(v2_routes(exchange, settings.images_per_request, build.version))
    app.include_router(task_routes(registry, catalogue, door))
    app.include_router(operation_routes(pipeline.batcher, metrics, ready))
    app.include_router(page_routes(app.title))
    _speak_problem_json(app)
    app.add_middleware(RequestGuard, max_body_bytes=settings.max_body_bytes)
    return app


def _check_fit(engine: Engine, vector: TaskVector) -> None:
    """Raises ModelMismatch for a vector that was made for another model."""
    vector.check(engine.model.config.mae, engine.model.program("zero_shot"), engine.fingerprint)


def _speak_problem_json(app: FastAPI) -> None:
    """Errors of ours and of the framework's leave in one form."""

    @app.exception_handler(ServiceError)
    async def ours(request: Request, error: ServiceError) -> Response:
        return problem(error, request.url.path)

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> Response:
        return problem(InvalidRequest(), request.url.path)

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> Response:
        return problem(from_http_exception(error), request.url.path)
