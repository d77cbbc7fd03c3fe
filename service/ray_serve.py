"""The server's own application as a Ray Serve deployment (extra `ray-serve`): a replica is an engine and all around it.

    serve run deploy/ray_serve/serve.yaml

Settings are the usual VTV_ variables, but for host, port and connections, which are Ray's proxy's.
"""

import asyncio
from typing import Any, Final

import httpx
from fastapi import FastAPI
from ray import serve

from service.app import create_app
from service.server import engine_plan, served_store
from service.settings import Settings
from service.telemetry.access_log import log_to_stderr

_LOOK_SECONDS: Final = 0.2


class Server:
    """Ready when `/readyz` says so. Raises SettingsError, EngineError and OfflineError for what cannot be served."""

    def __init__(self) -> None:
        settings = Settings.load()
        log_to_stderr(settings.log_format)
        plan = engine_plan(settings)
        self._app = create_app(plan, plan.build, served_store(settings), settings)

    def __serve_build_asgi_app__(self) -> FastAPI:
        return self._app

    async def check_health(self) -> None:
        """Before a replica gets its first request, and then every few seconds: waits until it is ready, for as long as
        Ray has patience. Raises RuntimeError where the engine failed for good, which has Ray start another replica."""
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url="http://localhost") as http:
            while (await http.get("/readyz")).status_code != httpx.codes.OK:
                if self._app.state.pipeline.supervisor.given_up:
                    raise RuntimeError("the engine failed for good: the log says why")
                await asyncio.sleep(_LOOK_SECONDS)


_deployment: Any = serve.deployment(serve.ingress()(Server))
app = _deployment.bind()
