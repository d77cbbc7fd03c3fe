"""Load on three servers behind HAProxy while machines fail and tasks are published; `make chaos` is the long run.

    python -m tests.balancer.run MINUTES [LOAD]

Prints one JSON object. Needs Linux, root, HAProxy and iproute2. Every packet stays in namespaces that it makes itself.
"""

import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from artifacts.infer.steps import PictureSteps, Wanted
from artifacts.pictures.write import encode
from artifacts.store.artifact import load_artifact
from artifacts.store.open import open_store
from engine.checkpoint import save_model
from engine.model import MaeVqgan
from engine.runtime import Engine
from tests.balancer.fleet import STORE, URL, Fleet
from tests.balancer.load import Load, signature
from tests.balancer.network import BALANCER, SERVERS, Network, on_balancer
from tests.balancer.publishing import Publisher
from tests.balancer.publishing import report as published_report
from tests.balancer.server import IMAGE_SECONDS
from tests.support import TINY, make_artifact, photo

TASK = "identity"
LOAD = 0.6
"""Of what the servers together answer at best, unless told otherwise."""
PUBLISHES = 20
AFTERWARDS = 3.0
"""Seconds until the balancer's checks have found all servers again, once a machine that stood still goes on."""
CLOSE = 3
"""Gray levels between two signatures of one answer."""


def main(minutes: float, load: float = LOAD) -> dict[str, Any]:
    with Network():
        return on_balancer("tests.balancer.run", str(minutes * 60), str(load))


def made(folder: Path, count: int) -> tuple[Path, Path, list[Path]]:
    """A picture, a model, and versions of the task."""
    picture, model = folder / "picture.jpg", folder / "model"
    picture.write_bytes(photo(seed=1))
    torch.manual_seed(7)
    fingerprint = save_model(MaeVqgan(TINY), model)
    versions = [folder / f"{seed}.safetensors" for seed in range(count)]
    for seed, path in enumerate(versions):
        make_artifact(path, TASK, fingerprint, seed)
    return picture, model, versions


def run(folder: Path, seconds: float, share: float) -> dict[str, Any]:
    """On the balancer's machine."""
    picture, model, versions = made(folder, PUBLISHES + 1)
    expected = answers(model, versions, picture)
    with Fleet(model, folder) as fleet:
        store = open_store(STORE)
        publisher = Publisher(fleet, store, TASK, store.publish(versions[0]).hash)
        fleet.start()
        rate = share * capacity(picture)
        with Load(URL, TASK, picture, rate) as load:
            publishing = threading.Thread(target=publisher.run, args=(versions[1:], seconds))
            publishing.start()
            happened = disturb(fleet, seconds)
            publishing.join()
    still = [entry for entry in load.found if "late" in entry]
    asked = [entry for entry in load.found if "status" in entry]
    counted = [entry for entry in asked if not any(_during(entry, gap) for gap in still)]
    published = published_report(publisher.done, [entry for entry in counted if entry["status"] == 200])
    return (
        report(counted, expected)
        | published
        | {
            "machine_stood_still_seconds": [round(gap["late"], 1) for gap in still],
            "not_counted_as_it_stood_still": len(asked) - len(counted),
            "seconds": seconds,
            "rate": round(rate, 1),
            "events": happened,
        }
    )


def answers(model: Path, versions: list[Path], picture: Path) -> dict[str, list[int]]:
    """What each version makes of the picture, computed here."""
    engine = Engine.load(model, slots=2, buckets=(1,), backend="eager")
    found = {}
    for path in versions:
        artifact = load_artifact(path)
        engine.write_slot(1, artifact.vector)
        steps = PictureSteps(engine.geometry, artifact.vector.answer, Wanted())
        prepared = steps.prepare("picture", picture.read_bytes())
        painted = steps.finish(prepared, engine.zero_shot(prepared.tile[None], [1])[0])
        found[artifact.hash] = signature(encode(painted, "png"))
    return found


def capacity(picture: Path) -> float:
    """Requests a second at best: what comes through when half as many more are sent than the accelerators can take."""
    with Load(URL, TASK, picture, 1.5 * len(SERVERS) / IMAGE_SECONDS) as load:
        time.sleep(8)
    ends = sorted(entry["at"] + entry["seconds"] for entry in load.found if entry.get("status") == 200)
    kept = ends[len(ends) // 4 :]
    return (len(kept) - 1) / (kept[-1] - kept[0])


def disturb(fleet: Fleet, seconds: float) -> list[str]:
    """Two kills, a cut cable, a slow machine and a rolling restart, one after the other."""
    first, second, third = SERVERS
    pause, happened, started = seconds / 12, list[str](), time.monotonic()

    def until(share: float) -> None:
        time.sleep(max(0.0, started + share * seconds - time.monotonic()))

    def note(what: str) -> None:
        happened.append(f"{time.monotonic() - started:.0f} s: {what.removeprefix(BALANCER + '-')}")

    for share, machine in ((0.1, first), (0.25, second)):
        until(share)
        fleet.kill(machine)
        note(f"{machine} killed")
        time.sleep(pause / 2)
        fleet.start_server(machine)
        fleet.wait_ready(machine)
    until(0.4)
    with Network.cut_off(third):
        note(f"{third} cut off")
        time.sleep(pause)
    until(0.55)
    note(f"{first} slow")
    fleet.slow(first, pause)
    until(0.7)
    for machine in SERVERS:
        fleet.restart(machine)
        note(f"{machine} restarted")
    until(1.0)
    return happened


def report(found: list[dict[str, Any]], expected: dict[str, list[int]]) -> dict[str, Any]:
    """Shares and worst times; `wrong` counts answers that are not what their header's version makes."""
    good = [entry for entry in found if entry["status"] == 200]
    wrong = sum(not _alike(entry["answer"], expected.get(entry["artifact"])) for entry in good)
    failed = Counter(f"{entry['status']} {entry['answer'][:70]}" for entry in found if entry["status"] != 200)
    retriable = sum(entry["status"] in (0, 429, 502, 503) for entry in found if entry["status"] != 200)
    windows: dict[int, list[float]] = {}
    for entry in good:
        windows.setdefault(int(entry["at"] // 10), []).append(entry["seconds"])
    p99 = {window: sorted(times)[int(0.99 * (len(times) - 1))] for window, times in windows.items()}
    times = sorted(entry["seconds"] for entry in good)
    return {
        "requests": len(found),
        "answered": len(good),
        "wrong": wrong,
        "versions": len({entry["artifact"] for entry in good}),
        "failed": dict(failed),
        "failed_at": [round(entry["at"] - found[0]["at"], 1) for entry in found if entry["status"] != 200],
        "error_share": round((len(found) - len(good)) / len(found), 5),
        "all_retriable": retriable == len(found) - len(good),
        "p50_ms": round(1e3 * times[len(times) // 2]),
        "p99_ms": round(1e3 * times[int(0.99 * len(times))]),
        "p99_ms_worst_10_s": round(1e3 * max(p99.values())),
        "p99_ms_by_10_s": [round(1e3 * p99[window]) for window in sorted(p99)],
    }


def _during(entry: dict[str, Any], gap: dict[str, Any]) -> bool:
    """Whether a request was under way when nothing on this machine ran, or in the seconds of checks after that."""
    return bool(entry["at"] < gap["at"] + gap["late"] + AFTERWARDS and entry["at"] + entry["seconds"] > gap["at"])


def _alike(one: list[int], other: list[int] | None) -> bool:
    return other is not None and all(abs(a - b) <= CLOSE for a, b in zip(one, other, strict=True))


if __name__ == "__main__":
    if sys.argv[1] == "inside":
        print(json.dumps(run(Path(sys.argv[2]), *map(float, sys.argv[3:]))))
    else:
        print(json.dumps(main(*map(float, sys.argv[1:])), indent=1))
