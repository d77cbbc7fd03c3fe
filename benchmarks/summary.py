"""What a run of requests amounts to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.connection import LOST
from benchmarks.raw_speed import RawSpeed
from benchmarks.traffic import Sent

PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}
OK: Final = 200


@dataclass(frozen=True, slots=True)
class Summary:
    """Of one load. Latencies are milliseconds from when a request was due, of good answers; None without any."""

    clients: int | None
    """Of a closed loop."""
    offered_per_second: float | None
    """Of an open loop."""
    seconds: float
    requests: int
    requests_per_second: float
    """Good answers."""
    goodput_per_second: float
    """Good answers within `bound_ms`."""
    bound_ms: float
    latency_ms: dict[str, float] | None
    errors: dict[str, int]
    """By HTTP status; `lost` where a connection ended without a reply."""
    client_lag_ms: float
    """99th percentile of how late the client itself sent: large where the client is the bottleneck."""
    engine: RawSpeed | None = None
    """Without the server, around this load; the machine's own speed drifts."""

    @property
    def keeps_up(self) -> bool:
        """Whether 99 of 100 requests got a good answer within the bound."""
        return self.goodput_per_second * self.seconds >= 0.99 * self.requests

    def percentile(self, name: str) -> float:
        """Milliseconds; not a number without any good answer."""
        return self.latency_ms[name] if self.latency_ms else float("nan")


def summarise(
    parts: Sequence[Sequence[Sent]], bound_ms: float, clients: int | None = None, rate: float | None = None
) -> Summary:
    """The requests of one load, sent in one go or in several. Raises ValueError where one had none."""
    if not all(parts):
        raise ValueError("no request was sent")
    seconds = sum(max(each.ended for each in part) - min(each.due for each in part) for part in parts)
    sent = [each for part in parts for each in part]
    good = np.array([each.ended - each.due for each in sent if each.status == OK]) * 1e3
    bad = Counter("lost" if each.status == LOST else str(each.status) for each in sent if each.status != OK)
    lag = np.array([each.sent - each.due for each in sent]) * 1e3
    values: list[float] = np.percentile(good, list(PERCENTILES.values())).tolist() if good.size else []
    return Summary(
        clients=clients,
        offered_per_second=rate,
        seconds=seconds,
        requests=len(sent),
        requests_per_second=good.size / seconds,
        goodput_per_second=int((good <= bound_ms).sum()) / seconds,
        bound_ms=bound_ms,
        latency_ms=dict(zip(PERCENTILES, values, strict=True)) if good.size else None,
        errors=dict(sorted(bad.items())),
        client_lag_ms=float(np.percentile(lag, 99)),
    )
