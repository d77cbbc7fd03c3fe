"""Replaces an engine that failed, so that one bad moment of a device does not end the service.

Readiness is false from the failure until the new engine has warmed up and checked itself.
"""

import gc
import logging
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from service.batching.batcher import Batcher
from service.batching.engine import BatchEngine

log: Final = logging.getLogger("vtv.supervisor")
_DELAYS: Final = (0.0, 1.0, 2.0, 4.0, 8.0)
_HEALTHY_SECONDS: Final = 60.0
"""An engine that served this long before it failed is no part of the same trouble."""


class Supervisor:
    """Rebuilds a batcher's engine, on a thread of its own, each time `failed` is set.

    The n-th attempt in a row waits `delays[n]` seconds. When they are used up, `given_up` turns true: what is
    broken is then more than the engine (a CUDA context, a file), and only a new process can help.
    """

    def __init__(
        self,
        batcher: Batcher,
        failed: threading.Event,
        build: Callable[[], BatchEngine],
        on_restart: Callable[[], None],
        delays: Sequence[float] = _DELAYS,
    ) -> None:
        self.given_up = False
        self._batcher = batcher
        self._failed = failed
        self._build = build
        self._on_restart = on_restart
        self._delays = delays
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Rebuild nothing more; waits for a rebuild under way."""
        self._stopping.set()
        self._failed.set()
        self._thread.join()

    def _run(self) -> None:
        attempt = 0
        restarted_at = monotonic()
        while self._failed.wait() and not self._stopping.is_set():
            self._failed.clear()
            if monotonic() - restarted_at > _HEALTHY_SECONDS:
                attempt = 0
            if attempt == len(self._delays):
                log.critical("the engine failed again after %d rebuilds: giving up", attempt)
                self.given_up = True
                return
            if self._stopping.wait(self._delays[attempt]):
                return
            attempt += 1
            self._rebuild(attempt)
            restarted_at = monotonic()

    def _rebuild(self, attempt: int) -> None:
        log.warning("rebuilding the engine, attempt %d of %d", attempt, len(self._delays))
        gc.collect()  # the failed engine's tensors: a device may not hold two engines
        try:
            engine = self._build()
        except Exception:
            log.exception("the engine could not be rebuilt")
            self._failed.set()
            return
        self._batcher.restart(engine)
        self._on_restart()
