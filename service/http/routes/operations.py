"""For operators: liveness, readiness, metrics."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service.batching.batcher import Batcher, State
from service.batching.status import EngineStatus
from service.errors import NotReady
from service.http.openapi import PROBLEM
from service.http.schemas import Health, Readiness
from service.tasks.store_watcher import StoreWatcher
from service.telemetry.metrics import Metrics


def operation_routes(batcher: Batcher, status: EngineStatus, watcher: StoreWatcher, metrics: Metrics) -> APIRouter:
    """`status` is what /readyz tells; before the store was ever seen nobody knows which tasks there are."""
    router = APIRouter(tags=["operations"])

    @router.get("/healthz", summary="Alive")
    async def healthz() -> Health:
        return Health()

    @router.get("/readyz", summary="Warmed up, checked, not draining", responses={503: PROBLEM})
    async def readyz() -> Readiness:
        if not batcher.ready:
            raise NotReady(status.progress if batcher.state is State.WARMING else "")
        if not watcher.seen:
            raise NotReady("waiting for the store")
        return Readiness(backend=status.backend, runtime=status.runtime, passed_over=status.passed_over)

    @router.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def prometheus() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router
