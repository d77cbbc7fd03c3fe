"""Builds the engine, off the event loop, and replaces one that failed: a device's bad moment does not end the service.

Readiness is false until an engine has warmed up and checked itself.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from traceback import format_exc
from typing import Final

from engine.errors import EngineError
from service.batching.batcher import Batcher
from service.batching.engine import BatchEngine
from service.memory import reclaim

log: Final = logging.getLogger("vtv.supervisor")
_DELAYS: Final = (0.0, 1.0, 2.0, 4.0, 8.0)
_PATIENCE: Final = 2.0
_HEALTHY_SECONDS: Final = 60.0
"""An engine that served this long before it failed is no part of the same trouble."""


class Supervisor:
    """Builds a batcher's engine, on a thread of its own, and again each time `failed` is set.

    An engine that cannot be built as it was asked for (EngineError) is not tried again: `refusal` says why. The n-th
    attempt in a row waits `delays[n]` seconds. When they are used up, `given_up` turns true: what is broken is then
    more than the engine (a CUDA context, a file), and only a new process can help.
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
        self.rebuilt = False
        """Whether an engine failed and another was begun."""
        self.refusal: EngineError | None = None
        self._batcher = batcher
        self._failed = failed
        self._build = build
        self._began: float | None = None
        self._first_seconds = 0.0
        self._on_restart = on_restart
        self._delays = delays
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Build nothing more. Waits a little for a build under way, which `building` tells of afterwards."""
        self._stopping.set()
        self._failed.set()
        self._thread.join(_PATIENCE)

    @property
    def building(self) -> bool:
        """Whether a library is still at work on an engine, which may take minutes and cannot be interrupted."""
        return self._stopping.is_set() and self._thread.is_alive()

    def rebuilding(self) -> tuple[float, float]:
        """Seconds that an engine has been built again by now, 0 where none is, and those that the first one took."""
        began = self._began if self.rebuilt else None
        return 0.0 if began is None else monotonic() - began, self._first_seconds

    def check_wanted(self) -> None:
        """Raises BuildAbandoned once nobody needs what is being built: for whoever builds in steps."""
        if self._stopping.is_set():
            raise BuildAbandoned("the service is stopping")

    def _run(self) -> None:
        try:
            if self._first():
                self._replace_failed()
        except BaseException:  # without this thread nobody would build an engine again
            log.critical("nothing watches over the engine any more: giving up\n%s", format_exc())
            self.given_up = True

    def _first(self) -> bool:
        """False where there is nothing to go on with."""
        began = monotonic()
        try:
            self._batcher.start(self._build())
            self._first_seconds = monotonic() - began
        except BuildAbandoned:
            return False
        except EngineError as error:
            log.critical("the engine cannot be built: %s", error)
            self.refusal = error.with_traceback(None)
            self.given_up = True
            return False
        except Exception:
            log.error("the engine could not be built\n%s", format_exc())
            self._failed.set()
        return True

    def _replace_failed(self) -> None:
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
        self.rebuilt = True
        log.warning("rebuilding the engine, attempt %d of %d", attempt, len(self._delays))
        reclaim()  # the failed engine's memory: a device may not hold two engines
        self._began = monotonic()
        try:
            self._batcher.start(self._build())
        except BuildAbandoned:
            return
        except Exception:
            log.error("the engine could not be rebuilt\n%s", format_exc())
            self._failed.set()
            return
        finally:
            self._began = None
        self._on_restart()


class BuildAbandoned(BaseException):
    """A build was given up because the service stops. No Exception, which would be taken for a backend's failure."""
