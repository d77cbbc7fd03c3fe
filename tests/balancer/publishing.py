"""Versions of a task that are published while servers fail, and how soon each is what everyone answers."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from artifacts.store.base import ArtifactStore
from tests.balancer.fleet import Fleet
from tests.balancer.network import BALANCER, SERVERS

WITHIN = 2.0
"""Seconds after which a version has to be everyone's."""
_GIVEN_UP = 20.0


class Publish(NamedTuple):
    """One publication, when it was done, and after how many seconds each server that answered had it."""

    at: float
    digest: str
    served_after: dict[str, float]


class Publisher:
    """Publishes at even distances. A server that does not answer, or is restarted meanwhile, is not waited for."""

    def __init__(self, fleet: Fleet, store: ArtifactStore, task: str, first: str) -> None:
        self._fleet, self._store, self._task = fleet, store, task
        self.done = [Publish(time.time(), first, {})]

    def run(self, versions: Sequence[Path], seconds: float) -> None:
        """All of them in that time."""
        started = time.monotonic()
        with ThreadPoolExecutor(len(SERVERS)) as asking:
            for turn, path in enumerate(versions):
                time.sleep(max(0.0, started + seconds * (turn + 0.5) / len(versions) - time.monotonic()))
                digest, at = self._store.publish(path).hash, time.time()
                after = asking.map(lambda machine, digest=digest, at=at: self._served(machine, digest, at), SERVERS)
                found = {machine.removeprefix(f"{BALANCER}-"): it for machine, it in zip(SERVERS, after, strict=True)}
                self.done.append(Publish(at, digest, {name: it for name, it in found.items() if it is not None}))

    def _served(self, machine: str, digest: str, at: float) -> float | None:
        while (held := self._fleet.artifact(machine, self._task)) != digest and time.time() < at + _GIVEN_UP:
            if not held:
                return None
            time.sleep(0.02)
        return time.time() - at


def ages(done: Sequence[Publish], answered: Sequence[dict[str, Any]]) -> list[float]:
    """Of answers by a version that was replaced: seconds from then until the request was sent."""
    replaced = {old.digest: new.at for old, new in pairwise(done)}
    return [entry["at"] - replaced[entry["artifact"]] for entry in answered if entry["artifact"] in replaced]


def report(done: Sequence[Publish], answered: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of publications and the load's answers: those sent `WITHIN` after a newer version are `old_answers`."""
    delays = [delay for publish in done for delay in publish.served_after.values()]
    found = ages(done, answered)
    return {
        "publishes": len(done) - 1,
        "everywhere_within_2_s": sum(max(each.served_after.values(), default=0) <= WITHIN for each in done[1:]),
        "everywhere_after_seconds": round(max(delays), 2),
        "publish_seconds": [[round(it, 2) for it in each.served_after.values()] for each in done[1:]],
        "old_answers": sum(age > WITHIN for age in found),
        "oldest_answer_seconds": round(max(found, default=0.0), 2),
    }
