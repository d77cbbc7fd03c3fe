"""Puts the service together."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import cached_property, partial
from importlib.metadata import version
from math import inf
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from artifacts.store.base import ArtifactStore
from engine.cache import default_root
from engine.runner import Progress
from service.batching.engine import BuiltEngine, ServedEngine
from service.codec.workers.fork_server import ForkServer
from service.ending import end_now
from service.errors import InvalidRequest, ServiceError
from service.http.auth import Authenticator
from service.http.body_budget import BodyBudget
from service.http.connections import Connections
from service.http.fast_path import DirectRoutes
from service.http.infer_handler import InferHandler
from service.http.middleware import RequestGuard
from service.http.problems import from_http_exception, problem
from service.http.readiness import readiness
from service.http.routes.infer import infer_routes
from service.http.routes.operations import operation_routes
from service.http.routes.page import page_routes
from service.http.routes.tasks import task_routes
from service.http.routes.teach import teach_routes
from service.memory import give_back
from service.oip.routes import tensor_routes, v2_routes
from service.pipeline.pipeline import Pipeline
from service.settings import Settings
from service.tasks.fit import Fit
from service.tasks.registry import TaskRegistry
from service.tasks.store_calls import StoreCalls
from service.tasks.store_watcher import StoreWatcher
from service.teach.jobs import TeachJobs
from service.teach.process import Teacher
from service.telemetry.access_log import log_request
from service.telemetry.metrics import BuildInfo, Metrics
from service.telemetry.record import Record
from service.telemetry.tracing import start_tracing
from service.watch.loop_beat import LoopBeat
from service.watch.watchdog import Watchdog

_DESCRIPTION = """An image and a task name in, the picture that MAE-VQGAN paints for that task out. No example
pair is sent: a *task vector* stands in for it. Classification tasks answer which class a picture shows."""


def create_app(
    plan: ServedEngine,
    build: Callable[[Progress], BuiltEngine],
    store: ArtifactStore,
    settings: Settings,
    fork_server: ForkServer | None = None,
) -> FastAPI:
    """The application around an engine, which it builds when it starts, warms up, and owns until it ends.

    `plan` is what is known of the engine that `build` makes; it is called again if that one fails. `fork_server` is
    what forks the codec processes, where it was started before.
    `app.state.pipeline` is the running pipeline. Artifacts that do not fit the model are logged and left out.
    """
    about = BuildInfo(version("visual-task-vectors"), plan.model_name, str(plan.device))
    metrics = Metrics(about)
    registry, fit = TaskRegistry(settings.slots), Fit(plan)
    calls = StoreCalls(settings.stall_seconds, metrics.store_calls_stuck)
    watcher = StoreWatcher(store, registry, fit, metrics, calls, settings.stale_seconds or inf)
    watcher.load()
    authenticator = Authenticator(settings)
    pipeline = Pipeline(plan, build, registry, metrics, settings, fit.tower, fork_server)
    beat = LoopBeat(settings.stall_seconds, metrics.loop_lag)
    watchdog = Watchdog([*pipeline.checks, beat], end_now)
    tower = settings.tower if isinstance(settings.tower, Path) else None
    teacher = Teacher(
        settings.model,
        tower,
        plan.device.type,
        settings.max_pixels,
        settings.precision_taught,
        settings.cache or default_root(),
    )
    jobs = TeachJobs(teacher, watcher.install, settings.teach_jobs, metrics)
    metrics.observe(pipeline.batcher, registry.slots, registry.faulty)

    sinks: list[Callable[[Record], None]] = [log_request]
    cleanup = ExitStack()
    if settings.otlp_endpoint:
        trace, finish = start_tracing(about.version)
        sinks.insert(0, trace)  # first, so that the log's line can name the trace
        cleanup.callback(finish)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await pipeline.start()
        following, beating = asyncio.create_task(watcher.watch()), asyncio.create_task(beat.run())
        watchdog.start()
        with cleanup:
            yield
            await jobs.stop()
            await _cancelled(following)
            await pipeline.stop()
            await _cancelled(beating)
            watchdog.stop()

    app = _Application(
        title="Visual Task Vectors",
        version=about.version,
        description=_DESCRIPTION,
        lifespan=lifespan,
        openapi_url=None,  # as a page
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # RequestGuard takes them off
    )
    app.state.pipeline, app.state.beat = pipeline, beat
    app.state.connections = metrics.watch(Connections(settings.connection_limits, metrics.connection_dropped))
    handler = InferHandler(pipeline, metrics, authenticator, settings.timeout_ms)
    per_request = settings.images_per_request(plan.max_batch)
    infer = infer_routes(handler, per_request, plan.fingerprint)
    tensors = tensor_routes(handler, per_request)
    app.include_router(infer)
    check_ready = readiness(pipeline.batcher, pipeline.status, watcher)
    app.include_router(v2_routes(handler, check_ready, about.version))
    app.include_router(tensors)
    app.include_router(task_routes(registry, watcher, authenticator))
    app.include_router(teach_routes(jobs, authenticator))
    app.include_router(operation_routes(check_ready, pipeline.status, metrics))
    app.include_router(page_routes(app.openapi))
    _speak_problem_json(app)
    guard = partial(
        RequestGuard,
        max_body_bytes=settings.max_body_bytes,
        sinks=sinks,
        hosts=settings.hosts,
        budget=BodyBudget(settings.max_bytes_in_hand, give_back),
    )
    app.add_middleware(guard)
    app.around = partial(DirectRoutes, routers=[infer, tensors], guard=guard)
    return app


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class _Application(FastAPI):
    """FastAPI, with something around it."""

    around: Callable[[ASGIApp], ASGIApp]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._whole(scope, receive, send)

    @cached_property
    def _whole(self) -> ASGIApp:
        return self.around(super().__call__)


def _speak_problem_json(app: FastAPI) -> None:
    """Errors of ours and of the framework's leave in one form."""

    def refuse(request: Request, error: ServiceError) -> Response:
        Record.of(request.scope).code = error.code
        return problem(error, request.url.path)

    @app.exception_handler(ServiceError)
    async def ours(request: Request, error: ServiceError) -> Response:
        return refuse(request, error)

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> Response:
        return refuse(request, InvalidRequest())

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> Response:
        return refuse(request, from_http_exception(error, _methods(app, request)))


def _methods(app: FastAPI, request: Request) -> list[str]:
    """What the address takes, of all its routes: the framework's own refusal names the first one's only."""
    pattern = getattr(request.scope.get("route"), "path", "")
    named = [method.upper() for method in app.openapi()["paths"].get(pattern, {})]
    return [*named, "HEAD"] if "GET" in named else named
