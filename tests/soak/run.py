"""Every kind of client at once on a real server, for so many requests; prints one JSON object, exit code 1 for a fault.

    python -m tests.soak.run REQUESTS [--bundled]

SIGTERM ends the run early, with a report of what was done. Without `--bundled` the model is a tiny one, so that the
server around it has the most to do. Each request has an id; afterwards the server's log must tell of each accepted one
exactly once, with the status that its client saw.
"""

import asyncio
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import torch

from artifacts.paths import BUNDLED_MODEL
from artifacts.store.file import file_hash
from artifacts.store.folder import Store
from benchmarks.footprint import held
from engine.checkpoint import read_description, save_model
from engine.model import MaeVqgan
from tests.soak.answers import Answers, apart
from tests.soak.changes import Administrator
from tests.soak.clients import Client, Soak, flood
from tests.soak.server import CLEAN
from tests.support import ANSWERS, TINY, ServerProcess, descendants, lesson, make_artifact, photo

CLIENTS = 12
PICTURES = 10
LESSONS = 2
MOST_GROWTH = 80 * 2**20
"""Bytes, of all processes, from the first hundredth of the run to its end."""
COMMAND = [sys.executable, "-m", "tests.soak.server"]


def make(folder: Path, bundled: bool) -> tuple[Path, dict[str, list[Path]]]:
    """A model, and files of each task's versions."""
    torch.manual_seed(7)
    model = BUNDLED_MODEL if bundled else folder / "model"
    mark = read_description(model)[1] if bundled else save_model(MaeVqgan(TINY), model)
    if bundled:
        store = Store(model.parent / "store")
        names = [name for name in store.names() if name in ANSWERS]
        return model, {name: [store.path_of(store.hash_of(name))] for name in names}
    files = {task: [folder / f"{task}-0"] for task in ANSWERS}
    files["identity"].append(folder / "identity-1")
    files["flux"] = [folder / f"flux-{number}" for number in range(3)]
    for seed, (task, paths) in enumerate(files.items()):
        for number, path in enumerate(paths):
            make_artifact(path, task, mark, 10 * seed + number)
    return model, files


def usage(server: ServerProcess) -> tuple[int, int]:
    """Proportional bytes and descriptors of all its processes."""
    size = descriptors = 0
    for process in [server.process.pid, *descendants(server.process.pid)]:
        try:
            size += int(held(process).proportional * 2**20)
            descriptors += len(list(Path(f"/proc/{process}/fd").iterdir()))
        except (OSError, KeyError):
            continue  # it has ended
    return size, descriptors


async def phase(soak: Soak, requests: int, admin: Administrator | None, lessons: int) -> None:
    soak.left = requests
    work = [Client(soak, number).run() for number in range(1, CLIENTS + 1)]
    work += [flood(soak), tell(soak)]
    if admin is not None:
        work += [admin.change(), admin.teach(lessons)]
    await asyncio.gather(*work)


async def tell(soak: Soak) -> None:
    """How far it is, once a minute."""
    while soak.left > 0:
        print(f"{soak.sent} sent, {len(soak.wrong)} wrong", file=sys.stderr)
        for _ in range(60):
            await asyncio.sleep(1 if soak.left > 0 else 0)


def compare_log(soak: Soak, server: ServerProcess, report: dict[str, Any]) -> list[str]:
    """Faults between what clients saw and what the server tells."""
    told: dict[str, list[int]] = {}
    for line in server.lines:
        if '"request_id": "soak-' in line:
            entry = json.loads(line)
            told.setdefault(entry["request_id"], []).append(entry["status"])
    faults = [f"{name} was answered {len(found)} times" for name, found in told.items() if len(found) > 1]
    for name, status in soak.statuses.items():
        if status and told.get(name) != [status]:
            faults.append(f"{name}: its client saw {status}, the log says {told.get(name)}")
    left = Counter(str(told[name][0]) for name, status in soak.statuses.items() if not status and name in told)
    report["those_who_left_were_told_as"] = dict(left)
    faults += [f"a client who left was answered {status}" for status in left if status.startswith("5")]
    return faults


def compare_metrics(soak: Soak, server: ServerProcess) -> list[str]:
    """Faults between the metrics and the log."""
    by_task: Counter[tuple[str, int]] = Counter()
    for line in server.lines:
        if line.startswith("{") and '"logger": "vtv.http"' in line:
            entry = json.loads(line)
            if entry.get("task") in soak.versions and entry["task"] != "flux":
                by_task[entry["task"], entry["status"]] += 1
    faults = []
    for (task, status), number in by_task.items():
        counted = server.metric("vtv_requests_total", task=task, code=str(status))
        if counted != number:
            faults.append(f"{task}, {status}: {number} in the log, {counted} in the metrics")
    if not by_task:
        faults.append("the log tells of no task")
    turned_away = sum(number for (_, status), number in soak.kinds.items() if status == 429)
    dropped = server.metric("vtv_dropped_total", reason="queue_full")
    if dropped < turned_away:
        faults.append(f"{turned_away} were turned away, {dropped} are counted")
    for name, wanted in (("vtv_queue_depth", 0), ("vtv_bad_answers_total", 0), ("vtv_engine_restarts_total", 0)):
        if server.metric(name) != wanted:
            faults.append(f"{name} is {server.metric(name)}")
    if server.metric("vtv_bank_slots", state="pinned"):
        faults.append("slots are pinned that nobody uses")
    return faults


def at_rest(server: ServerProcess) -> tuple[int, int]:
    """Usage, once nothing is in hand and all connections are closed."""
    limit = time.monotonic() + 30
    while time.monotonic() < limit and (server.metric("vtv_queue_depth") or server.metric("vtv_connections") > 1):
        time.sleep(0.2)
    time.sleep(2)
    return usage(server)


def run(requests: int, bundled: bool, folder: Path) -> dict[str, Any]:
    model, files = make(folder, bundled)
    store = Store(folder / "store")
    for paths in files.values():
        store.publish(paths[0])
    pictures = [photo(80 + 24 * number, 96, seed=number) for number in range(PICTURES)]
    backend = "auto" if bundled else "eager"
    answers = Answers(model, backend, [path for paths in files.values() for path in paths], pictures)
    versions = {task: [file_hash(path) for path in paths] for task, paths in files.items()}
    assert apart(answers, versions), "two versions answer alike: a crossed answer would not be seen"
    settings = {"model": str(model), "store": str(store.root), "device": "cpu", "admin_key": "k", "slots": "16"}
    patient = {"timeout_ms": "3600000", "header_seconds": "3600", "body_seconds": "3600", "keep_alive_seconds": "3600"}
    settings |= patient | {
        "log_format": "json",
        "trusted_proxies": "127.0.0.1",
        "backend": backend,
    }
    server = ServerProcess(COMMAND, **settings)
    report: dict[str, Any] = {}
    try:
        server.wait_ready()
        soak = Soak(server.url, versions, pictures, answers)
        report = asyncio.run(drive(soak, server, files, requests, changing=not bundled))
        faults = compare_log(soak, server, report) + compare_metrics(soak, server)
        faults += [line for line in server.lines if "Traceback" in line or '"exception"' in line][:5]
    except BaseException:
        print("\n".join(server.lines[-300:]), file=sys.stderr)
        raise
    finally:
        code = server.stop()
    if code or CLEAN not in server.log:
        faults.append(f"it ended with {code}: {server.lines[-1]}")
    if report["descriptors"][1] > report["descriptors"][0] + 4:
        faults.append(f"descriptors: {report['descriptors']}")
    if report["bytes"][1] > report["bytes"][0] + MOST_GROWTH:
        faults.append(f"memory: {report['bytes']}")
    return report | {"faults": (soak.wrong + faults)[:50], "number_of_faults": len(soak.wrong) + len(faults)}


async def drive(
    soak: Soak, server: ServerProcess, files: dict[str, list[Path]], requests: int, changing: bool
) -> dict[str, Any]:
    headers = {"X-API-Key": "k"}
    began = time.monotonic()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: setattr(soak, "left", 0))
    async with httpx.AsyncClient(base_url=soak.url, headers=headers, timeout=3600, trust_env=False) as http:
        admin = Administrator(soak, http, files, lesson(3)) if changing else None
        await phase(soak, max(1000, requests // 100), admin, lessons=1)
        before = await asyncio.to_thread(at_rest, server)
        await phase(soak, requests - soak.sent, admin, lessons=LESSONS)
        after = await asyncio.to_thread(at_rest, server)
    return {
        "requests": soak.sent,
        "seconds": round(time.monotonic() - began),
        "seen": {f"{kind}: {status or 'left'}": number for (kind, status), number in sorted(soak.kinds.items())},
        "right_answers": dict(soak.good),
        "compared": dict(soak.answers.how),
        "changes": dict(admin.done) if admin else {},
        "bytes": [before[0], after[0]],
        "descriptors": [before[1], after[1]],
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="vtv-soak-") as name:
        found = run(int(sys.argv[1]), "--bundled" in sys.argv, Path(name))
    print(json.dumps(found, indent=1))
    sys.exit(1 if found["number_of_faults"] else 0)
