"""What one client waits for beyond the engine's step: the engine alone and the service take turns.

A machine's speed drifts by more than the difference from one second to the next, so each turn is short, and is
compared with itself.
"""

import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from time import perf_counter
from typing import Final

from benchmarks.connection import Connection
from benchmarks.summary import OK
from benchmarks.traffic import Mix, Sent

_EACH: Final = 16
"""Steps, then requests, in a turn: the first few of either find the caches full of the other's."""
_CODEC: Final = re.compile(rb"\b(?:decode|encode);dur=([\d.]+)")


@dataclass(frozen=True, slots=True)
class Wait:
    """Of one client that asks for one image at a time: medians, in milliseconds."""

    step_ms: float
    """The engine alone, tensors in and out."""
    codec_ms: float
    """Decoding, refining and encoding, as the server says: handing the picture over and back is part of it."""
    added_ms: float
    """The service's median less those two."""

    @classmethod
    def median(cls, waits: Sequence["Wait"]) -> "Wait":
        """Of several, part by part."""
        return cls(*map(statistics.median, zip(*map(astuple, waits), strict=True)))


async def take_turns(url: str, mix: Mix, step: Callable[[], float], seconds: float) -> tuple[list[Sent], Wait | None]:
    """One turn at least; `step` is one of the engine's, and says how many seconds it took.

    None where some turn had no good answer, or the server does not say what its codec took. Raises OSError.
    """
    connection = await Connection.to(url)
    stop_at = perf_counter() + seconds
    sent: list[Sent] = []
    waits: list[Wait | None] = []
    while connection.open and not (waits and perf_counter() > stop_at):
        steps = [step() for _ in range(_EACH)]
        asked = [await _ask(connection, mix) for _ in range(_EACH)]
        sent += [each for each, _ in asked]
        waits.append(_wait(steps, asked))
    await connection.close()
    good = [wait for wait in waits if wait is not None]
    return sent, Wait.median(good) if good and len(good) == len(waits) else None


async def _ask(connection: Connection, mix: Mix) -> tuple[Sent, float | None]:
    """With the milliseconds of its decoding and encoding."""
    now = perf_counter()
    status, ended = await connection.ask(mix.next())
    spent = [float(each) for each in _CODEC.findall(connection.head)]
    return Sent(now, now, ended, status), sum(spent) if spent else None


def _wait(steps: Sequence[float], asked: Sequence[tuple[Sent, float | None]]) -> Wait | None:
    latencies = [1e3 * (each.ended - each.sent) for each, _ in asked if each.status == OK]
    codec = [spent for each, spent in asked if each.status == OK and spent is not None]
    if not codec:
        return None
    step_ms, codec_ms = 1e3 * statistics.median(steps), statistics.median(codec)
    return Wait(step_ms, codec_ms, statistics.median(latencies) - step_ms - codec_ms)
