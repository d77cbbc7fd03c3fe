"""How old answers get while servers cannot see the store: one that is cut off the network, or from the store alone, and
all of them at once.

    python -m tests.balancer.stale

Prints one JSON object. Needs what `run` needs.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

from artifacts.store.open import open_store
from tests.balancer.fleet import STORE, URL, Fleet
from tests.balancer.load import Load
from tests.balancer.network import SERVERS, Network, on_balancer
from tests.balancer.publishing import WITHIN, Publish, ages
from tests.balancer.run import TASK, made
from tests.support import wait_until

RATE: Final = 20.0
GLANCE_SECONDS: Final = 0.1
AFTERWARDS: Final = 5.0


def main() -> dict[str, Any]:
    """By trouble; `machine_sees_it_after` is when the machine itself has the new version, from the trouble's end."""
    with Network():
        return on_balancer(__spec__.name)


def run(folder: Path) -> dict[str, Any]:
    """On the balancer's machine."""
    machine = list(SERVERS)[-1]
    cut: Callable[[], AbstractContextManager[None]] = partial(Network.cut_off, machine)
    troubles = {
        "cut for 1.5 s": (cut, 1.5),
        "cut for 4 s": (cut, 4.0),
        "cut for 8 s": (cut, 8.0),
        "store hidden for 8 s": (partial(Network.store_hidden, machine), 8.0),
    }
    picture, model, versions = made(folder, len(troubles) + 1)
    report: dict[str, Any] = {}
    with Fleet(model, folder) as fleet:
        store = open_store(STORE)

        def publish(path: Path) -> Publish:
            digest = store.publish(path).hash
            return Publish(time.time(), digest, {})

        done = [publish(versions[0])]
        fleet.start()
        for (name, (trouble, seconds)), path in zip(troubles.items(), versions[1:], strict=True):
            with Load(URL, TASK, picture, RATE) as load, Readiness(fleet) as readiness:
                with trouble():
                    time.sleep(seconds / 4)
                    done.append(publish(path))
                    time.sleep(3 * seconds / 4)
                ended = time.time()
                wait_until(lambda: fleet.artifact(machine, TASK) == done[-1].digest, "the new version")
                seen = time.time() - ended
                time.sleep(AFTERWARDS)
            report[name] = told(load, done, readiness) | {"machine_sees_it_after": round(seen, 2)}
        with Load(URL, TASK, picture, RATE) as load, Readiness(fleet) as readiness, fleet.store_halted():
            time.sleep(10)
            ready = sum(fleet.ready(each) for each in SERVERS)
        report["store halted for 10 s"] = told(load, done, readiness) | {"ready": ready}
    return report


class Readiness:
    """When the balancer found no server ready, for as long as the context lasts: then all that live are asked."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet, self._none = fleet, list[float]()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def none_at(self, at: float) -> bool:
        """Whether it was so at a time or at the glances beside it."""
        return any(abs(at - glance) < 3 * GLANCE_SECONDS for glance in self._none)

    def _run(self) -> None:
        while not self._ended.wait(GLANCE_SECONDS):
            at = time.time()
            if not self._fleet.ready_by_balancer():
                self._none.append(at)


def told(load: Load, done: list[Publish], readiness: Readiness) -> dict[str, Any]:
    """Of a load's answers; the oldest is that many seconds after a newer version was published.

    It is sought among those sent while a server was ready; `none_ready` counts the others.
    """
    asked = [entry for entry in load.found if "status" in entry]
    good = [entry for entry in asked if entry["status"] == 200]
    promised = [entry for entry in good if not readiness.none_at(entry["at"])]
    found = ages(done, promised)
    return {
        "requests": len(asked),
        "failed": len(asked) - len(good),
        "none_ready": len(good) - len(promised),
        "slowest_seconds": round(max(entry["seconds"] for entry in good), 2),
        "oldest_seconds": round(max(found, default=0.0), 2),
        "old_answers": sum(age > WITHIN for age in found),
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["inside"]:
        print(json.dumps(run(Path(sys.argv[2]))))
    else:
        print(json.dumps(main(), indent=1))
