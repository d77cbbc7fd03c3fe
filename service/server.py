"""Runs the application on a real socket, from settings to a clean end."""

import asyncio
import logging
import resource
import signal
import socket
import sys
from functools import partial
from math import ceil
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any, Final

import uvicorn
from fastapi import FastAPI

from artifacts.errors import OfflineError
from artifacts.store.address import StoreAddress
from artifacts.store.base import ArtifactStore
from artifacts.store.open import open_store
from artifacts.store.signature import TrustedKeys
from engine.device import best_device
from engine.errors import EngineError
from engine.plan import EnginePlan
from engine.tower_plan import TowerPlan
from service.app import create_app
from service.codec.workers.fork_server import ForkServer
from service.ending import end_now
from service.http.connections import Connections
from service.http.protocol import HttpProtocol
from service.memory import keep_freed_memory
from service.pipeline.pipeline import Pipeline
from service.settings import Settings, SettingsError
from service.telemetry.access_log import log_to_stderr
from service.watch.guard import Guard

log: Final = logging.getLogger("vtv.server")
_OK, _FAILED, _BAD_INPUT, _INTERRUPTED = 0, 1, 2, 130
_TICKS_A_SECOND: Final = 10
"""uvicorn's."""
_DESCRIPTORS: Final = 65_536
_GUARD_SECONDS: Final = 5.0
"""By which the guard waits longer than the process does, which tells more of what hangs."""
_LAST_BYTES_SECONDS: Final = 5
"""For replies that are being sent when everything else is done."""


def serve(
    model: Path | None = None,
    store: StoreAddress | None = None,
    backend: str | None = None,
    host: str | None = None,
    port: int | None = None,
    tower: Path | str | None = None,
) -> int:
    """Serve until told to stop. What is None comes from the environment, or is the default.

    Returns the process's exit code: 2, after one clear line on standard error, where the settings, the model
    or the address are wrong, or the engine that they ask for cannot be built; 1 where the engine failed for good.
    """
    keep_freed_memory()
    _raise_descriptors()
    fork_server = ForkServer()
    fork_server.fork_ahead()
    try:
        settings = Settings.load(model=model, store=store, backend=backend, host=host, port=port, tower=tower)
        log_to_stderr(settings.log_format)
        listener = _listen(settings)
    except (SettingsError, OSError) as error:
        return _refuse(error)
    with listener:
        try:
            plan = engine_plan(settings)
            app = create_app(plan, plan.build, served_store(settings), settings, fork_server)
        except (EngineError, SettingsError, OfflineError) as error:
            return _refuse(error)
        server = DrainingServer(
            http_config(app, settings), app.state.pipeline, settings.drain_seconds, settings.drain_notice_seconds
        )
        server.hear_hangups()
        _announce(listener, plan)
        guard = Guard(settings.stall_seconds + _GUARD_SECONDS)
        app.state.beat.on_beat = guard.beat
        server.run(sockets=[listener])
        guard.close()
    supervisor = app.state.pipeline.supervisor
    code = _exit_code(server.stopped_by, supervisor.refusal)
    if supervisor.building or supervisor.rebuilt:
        end_now(code)  # a library that is at work, or was left in the middle of it, does not end in order
    return code


def served_store(settings: Settings) -> ArtifactStore:
    """The store, and whose artifacts of it are taken. Raises OfflineError."""
    store = open_store(settings.store)
    store.trusted = TrustedKeys(settings.trusted_keys) if settings.trusted_keys else None
    return store


def engine_plan(settings: Settings) -> EnginePlan:
    """What is to be built. Raises CheckpointError or EngineError."""
    device = _device(settings.device)
    asked: dict[str, Any] = {
        "slots": settings.slots,
        "backend": settings.backend,
        "device": device,
        "cache": settings.cache,
        "lean": True,
    }
    tower = None
    if isinstance(settings.tower, Path):
        asked_too = {"precision": settings.tower_precision} | asked
        tower = TowerPlan(settings.tower, classes=settings.max_classes, buckets=settings.tower_buckets, **asked_too)
    return EnginePlan(settings.model, buckets=settings.buckets, tower=tower, **asked)


def _exit_code(stopped_by: int | None, refusal: EngineError | None) -> int:
    if stopped_by is not None:
        return _INTERRUPTED if stopped_by == signal.SIGINT else _OK
    return _FAILED if refusal is None else _refuse(refusal)


def http_config(app: FastAPI, settings: Settings, **more: Any) -> uvicorn.Config:
    """How the application is served; `more` goes to uvicorn as it is."""
    return uvicorn.Config(
        app,
        http=partial(HttpProtocol, shared=app.state.connections),  # type: ignore[arg-type]
        ws="none",
        timeout_keep_alive=ceil(settings.keep_alive_seconds),
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_LAST_BYTES_SECONDS,
        **more,
    )


class DrainingServer(uvicorn.Server):
    """Stops in two steps: first it turns unready and refuses new work, then, with nothing in hand, it closes.

    Meanwhile the port stays open, so that /readyz tells a load balancer to look elsewhere. A second signal,
    or `drain_seconds`, closes it in any case. It also closes, with `stopped_by` None, when its engine failed
    for good: whatever watches the process starts a new one.
    """

    def __init__(
        self, config: uvicorn.Config, pipeline: Pipeline, drain_seconds: float, notice_seconds: float = 0.0
    ) -> None:
        """It says for `notice_seconds` at least that it is not ready, unless it is interrupted by hand."""
        super().__init__(config)
        self._notice_seconds = notice_seconds
        self._notice_until = 0.0
        self._connections: Connections = config.app.state.connections  # type: ignore[union-attr]
        self.stopped_by: int | None = None
        self._batcher = pipeline.batcher
        self._supervisor = pipeline.supervisor
        self._drain_seconds = drain_seconds
        self._close_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.stopped_by is not None:
            super().handle_exit(sig, frame)
        self.stopped_by = sig

    def hear_hangups(self) -> None:
        """SIGHUP means what SIGTERM does, unless whoever started the process wants it ignored, as nohup does."""
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self.handle_exit)

    async def on_tick(self, counter: int) -> bool:
        if self.stopped_by is not None and self._close_at is None:
            log.info("draining: %d images in hand", self._batcher.admitted)
            self._batcher.drain()
            self._close_at = monotonic() + self._drain_seconds
            notice = 0.0 if self.stopped_by == signal.SIGINT else self._notice_seconds
            self._notice_until = monotonic() + min(notice, self._drain_seconds)
        if counter % _TICKS_A_SECOND == 0:
            self._connections.sweep(asyncio.get_running_loop().time())
        now = monotonic()
        drained = self._close_at is not None and (
            (self._batcher.admitted == 0 and now >= self._notice_until) or now >= self._close_at
        )
        return await super().on_tick(counter) or drained or self._supervisor.given_up

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._connections.stop()
        await super().shutdown(sockets)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        raise OSError(f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}") from error


def _raise_descriptors() -> None:
    """As many open files as the system lets this process have: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _device(name: str) -> str:
    return best_device() if name == "auto" else name


def _announce(listener: socket.socket, plan: EnginePlan) -> None:
    host, port = listener.getsockname()[:2]
    where = f"[{host}]" if ":" in host else host
    log.info(
        "%s on %s is being built, listening on http://%s:%d",
        plan.model_name,
        plan.device,
        where,
        port,
    )


def _refuse(error: Exception) -> int:
    print(f"vtv serve: {error}", file=sys.stderr)
    return _BAD_INPUT
