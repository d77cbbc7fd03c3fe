"""`vtv bench peers`: our own server on the simulated accelerator, and what keeps servers honest."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import contest, wire
from benchmarks.peers.accelerator import MAX_BATCH, Accelerator
from benchmarks.peers.answers import TASKS, painted
from benchmarks.peers.entries import PEERS
from benchmarks.peers.model import SimulatedModel
from cli.main import main

Capture = pytest.CaptureFixture[str]
SHORT = ["--passes", "2", "--seconds", "0.3", "--warm-up", "0.1", "--concurrency", "2,4", "--rate", "20"]


@pytest.mark.slow
def test_our_server_serves_the_simulated_accelerator(tmp_path: Path, capsys: Capture) -> None:
    plot = tmp_path / "peers.png"
    assert main(["bench", "peers", "--peer", "vtv", *SHORT, "--json", "--plot", str(plot)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["accelerator_images_per_second"] == pytest.approx(32 / 0.012)
    assert [(row["server"], row["workload"], row["clients"]) for row in report["rows"]] == [
        ("vtv", workload, clients) for _ in range(2) for workload in ("one", "five") for clients in (2, 4, None)
    ]
    assert all(row["requests"] and not row["errors"] for row in report["rows"])
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_table_and_a_server_that_gives_other_answers(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    wrong = {task: np.zeros((112, 112, 3), np.uint8) for task in TASKS}
    original = contest.Contest._check

    def check(self: contest.Contest, peer: contest.Peer, url: str) -> None:
        if self.rows:
            self._answers = wrong
        original(self, peer, url)

    monkeypatch.setattr(contest.Contest, "_check", check)
    assert main(["bench", "peers", "--peer", "vtv", *SHORT]) == 1
    shown = capsys.readouterr().out
    assert "one task" in shown
    assert "failed: vtv, five: its answer for colorization is not that of the server before it" in shown


def test_a_peer_computes_a_mixed_batch_task_by_task(tmp_path: Path) -> None:
    model = SimulatedModel(tmp_path / "lock")
    batches: list[tuple[int, str]] = []

    def compute(pictures: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], task: str) -> object:
        batches.append((len(pictures), task))
        return painted(pictures, [TASKS.index(task)] * len(pictures))

    model.compute = compute  # type: ignore[method-assign, assignment]
    pictures = [np.full((112, 112, 3), row, np.uint8) for row in range(40)]
    tasks = [TASKS[row % 2] if row < 6 else TASKS[2] for row in range(40)]
    answers = model.answers(pictures, tasks)
    assert batches == [(3, TASKS[0]), (3, TASKS[1]), (32, TASKS[2]), (2, TASKS[2])]
    wanted = painted(np.stack(pictures), [TASKS.index(task) for task in tasks])
    assert np.array_equal(np.stack(answers), wanted)


@pytest.mark.parametrize("images", [0, MAX_BATCH + 1])
def test_the_accelerator_has_its_limits(tmp_path: Path, images: int) -> None:
    with pytest.raises(ValueError, match="1 to 32"):
        Accelerator(tmp_path / "lock").compute(images)


@pytest.mark.parametrize("name", PEERS)
def test_each_peer_pins_what_it_needs(name: str) -> None:
    pins = PEERS[name].requirements.read_text().split()
    assert pins
    assert all("==" in pin for pin in pins)


def test_the_forms_are_what_they_say() -> None:
    request = wire.msgpack("http://h:1", "inpaint", b"12345")
    assert request.endswith(b"\x82\xa4task\xa7inpaint\xa5image\xc6\0\0\0\x0512345")
    assert b"Content-Length: 30\r\n" in request
    assert wire.raw("http://h:1", "inpaint", b"12345").startswith(b"POST /infer?task=inpaint HTTP/1.1\r\nHost: h:1\r\n")
