"""For operators: liveness, readiness, metrics."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service.batching.batcher import Batcher
from service.errors import NotReady
from service.http.openapi import PROBLEM
from service.http.schemas import Health, Readiness
from service.telemetry.metrics import Metrics


def operation_routes(batcher: Batcher, metrics: Metrics, ready: Readiness) -> APIRouter:
    """`ready` is what /readyz answers when it is."""
    router = APIRouter(tags=["operations"])

    @router.get("/healthz", summary="Alive")
    async def healthz() -> Health:
        return Health()

    @router.get("/readyz", summary="Warmed up, checked, not draining", responses={503: PROBLEM})
    async def readyz() -> Readiness:
        if not batcher.ready:
            raise NotReady
        return ready

    @router.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def prometheus() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router
