"""For operators: liveness, readiness, metrics."""

from collections.abc import Callable
from functools import partial

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service.batching.status import EngineStatus
from service.http.openapi import PROBLEM
from service.http.paced_text import PacedText
from service.http.schemas import Health, Readiness
from service.telemetry.metrics import Metrics


def operation_routes(check_ready: Callable[[], None], status: EngineStatus, metrics: Metrics) -> APIRouter:
    """`status` is what /readyz tells, where `check_ready` raises nothing."""
    router = APIRouter(tags=["operations"])
    scrape = PacedText(partial(generate_latest, metrics.registry))

    @router.get("/healthz", summary="Alive")
    async def healthz() -> Health:
        return Health()

    @router.get("/readyz", summary="Warmed up, checked, not draining", responses={503: PROBLEM})
    async def readyz() -> Readiness:
        check_ready()
        return Readiness(backend=status.backend, runtime=status.runtime, passed_over=status.passed_over)

    @router.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def prometheus() -> Response:
        return Response(await scrape.get(), media_type=CONTENT_TYPE_LATEST)

    return router
