"""What is known of one HTTP request: the log's line and the trace are both made from it."""

from dataclasses import dataclass, field
from time import perf_counter_ns, time_ns
from typing import Final

from starlette.types import Scope

from service.telemetry.timing import Timing

_KEY: Final = "vtv.record"
PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
"""Asked every few seconds by machines."""


@dataclass(slots=True)
class Record:
    """Filled in as the request goes along. Times ending in `_ns` are Unix time in nanoseconds."""

    request_id: str
    method: str
    path: str
    """As it was sent, percent-encoded: it cannot break a line. Without the query, and its beginning where
    it is longer than all that is served."""
    traceparent: str | None = None
    """The caller's W3C trace context."""
    started_ns: int = field(default_factory=time_ns)
    route: str = ""
    """The address's pattern, `/tasks/{name}`; empty where nothing is served."""
    status: int = 0
    """0 where no reply was begun."""
    code: str = ""
    """A problem's code; empty for an answer."""
    task: str = ""
    """Only ever an installed task's name."""
    images: int = 0
    timing: Timing | None = None
    admitted_ns: int = 0
    duration_ns: int = 0
    trace_id: str = ""
    _clock_ns: int = field(default_factory=perf_counter_ns)

    @property
    def client_gone(self) -> bool:
        return self.code == "client_closed"

    @property
    def is_quiet(self) -> bool:
        """A probe that went well: not worth a line or a trace."""
        return self.path in PROBES and self.status < 400

    def end(self) -> None:
        self.duration_ns = perf_counter_ns() - self._clock_ns

    def attach(self, scope: Scope) -> None:
        scope[_KEY] = self

    @staticmethod
    def of(scope: Scope) -> "Record":
        """The record of a request that RequestGuard let in."""
        record: Record = scope[_KEY]
        return record
