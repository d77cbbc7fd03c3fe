"""`vtv infer --ray`: the files of a local run, each picture once, whatever dies or is interrupted."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from artifacts.errors import OfflineError
from artifacts.infer.manifest import NAME
from tests.cluster.conftest import WORKERS
from tests.support import photo, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
PICTURES = 2400
"""Of which a worker has 256 in its hands at most."""
BAD = "00000.jpg"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A hundred kinds, and one file that is no picture."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    kinds = [photo(seed=seed) for seed in range(100)]
    for number in range(PICTURES):
        (folder / f"{number:05}.jpg").write_bytes(kinds[number % 100])
    (folder / BAD).write_bytes(b"none")
    return folder


def infer(pictures: Path, output: Path, model: Path, store: Path, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "cli", "infer", str(pictures), "--task", "colorization", "-o", str(output)]
    command += ["--model", str(model), "--store", str(store), "--backend", "eager", "--json", *more]
    environ = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)


def ended(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, told = process.communicate()
    assert process.returncode == 0, told
    counted: dict[str, Any] = json.loads(out)
    return counted


def entries(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / NAME).read_text().splitlines()]


def without_time(output: Path) -> list[dict[str, Any]]:
    found = [{name: value for name, value in entry.items() if name != "time"} for entry in entries(output)]
    return sorted(found, key=lambda entry: str(entry["picture"]))


def lines(output: Path) -> int:
    return (output / NAME).read_bytes().count(b"\n") if (output / NAME).exists() else 0


def test_killed_workers_machines_and_drivers_change_nothing(
    nodes: Any, tiny_model: tuple[Path, str], tiny_store: Path, pictures: Path, tmp_path: Path
) -> None:
    """The driver is killed, then interrupted; a worker is killed, then a machine. Then it is the local run's."""
    alone, together = tmp_path / "alone", tmp_path / "together"
    words = (tiny_model[0], tiny_store)
    assert ended(infer(pictures, alone, *words))["answered"] == PICTURES - 1
    for stop in (signal.SIGKILL, signal.SIGINT):
        begun = lines(together)
        driver = infer(pictures, together, *words, "--ray", nodes.address)
        wait_until(lambda begun=begun: lines(together) > begun, "a first part")  # type: ignore[misc]
        driver.send_signal(stop)
        driver.communicate()
        assert driver.returncode == (130 if stop == signal.SIGINT else -stop)
        assert begun < lines(together) < PICTURES
    begun = lines(together)
    driver = infer(pictures, together, *words, "--ray", nodes.address)
    wait_until(lambda: lines(together) > begun, "a first part")
    os.kill(workers()[0], signal.SIGKILL)
    nodes.remove_node(next(iter(nodes.worker_nodes)), allow_graceful=False)
    assert ended(driver) == {"pictures": PICTURES, "answered": PICTURES - 1, "skipped": 1}
    assert len(nodes.worker_nodes) == WORKERS - 1
    assert max(Counter(entry["picture"] for entry in entries(together)).values()) == 1
    assert without_time(alone) == without_time(together)
    for path in alone.glob("*.png"):
        assert path.read_bytes() == (together / path.name).read_bytes(), path.name


def workers() -> list[int]:
    """Process ids of Ray's workers that hold an engine."""
    found = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in found.splitlines() if "ray::_Worker" in line]


def test_a_machine_that_does_not_see_the_pictures_is_named(
    nodes: Any, tiny_model: tuple[Path, str], tiny_store: Path, pictures: Path, tmp_path: Path
) -> None:
    """Instead of 2,400 pictures that are told to be bad."""
    from artifacts.console import keep_quiet
    from artifacts.infer.cluster import answering_on
    from artifacts.infer.many import Request, infer_many
    from artifacts.infer.steps import Wanted
    from tests.cluster.work import blind

    request = Request(tiny_model[0], tiny_store, pictures, "colorization", tmp_path / "out", Wanted(), backend="eager")
    with pytest.raises(OfflineError, match=r"a machine of the Ray cluster: .* pictures are not here"):
        infer_many(request, keep_quiet, answering_on(nodes.address, blind))
    assert lines(tmp_path / "out") == 0
