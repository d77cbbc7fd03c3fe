"""Small files that ask for much: each has its documented answer, in time, and from memory that is bounded."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from tests.security.hostile_pictures import FILES, blank, file
from tests.support import ServerProcess, descendants, photo

GROWTH = 500 * 2**20
"""Bytes, of all the server's processes together."""
IN_TIME = 30.0
"""Seconds on a machine that does other things too; alone, the longest takes three."""


@pytest.fixture(scope="module")
def attacked(start_server: Callable[..., ServerProcess]) -> ServerProcess:
    return start_server(codec_processes="1")


def tree(pid: int) -> list[int]:
    """A process and those below it."""
    return [pid, *descendants(pid)]


def bytes_of(pid: int, entry: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{entry}:"))


class Growth:
    """By how much a server's processes have grown at the most since this was made."""

    def __init__(self, server: ServerProcess) -> None:
        self._before = {pid: bytes_of(pid, "VmRSS") for pid in tree(server.process.pid)}
        for pid in self._before:
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak is counted from now on
        self._server = server

    def most(self) -> int:
        now = tree(self._server.process.pid)
        return sum(bytes_of(pid, "VmHWM") - self._before.get(pid, 0) for pid in now)


@pytest.mark.parametrize("kind", FILES)
def test_a_hostile_file_is_answered_as_documented(attacked: ServerProcess, kind: str) -> None:
    data, lines, growth = file(kind), len(attacked.lines), Growth(attacked)
    began = monotonic()
    reply = attacked.infer("identity", data)
    assert reply.status_code == FILES[kind][0], reply.text
    assert monotonic() - began < IN_TIME
    assert growth.most() < GROWTH
    assert not any("Traceback" in line for line in attacked.lines[lines:])
    assert attacked.infer("identity", photo()).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "side", "kind"),
    [("identity", 4600, 0), ("colorization", 4600, 6), ("inpaint", 3950, 0), ("inpaint", 3950, 2)],
)
def test_the_largest_that_is_painted_takes_bounded_memory(
    attacked: ServerProcess, task: str, side: int, kind: int
) -> None:
    growth = Growth(attacked)
    assert attacked.infer(task, blank(side, side, 8, kind), size="original").status_code == 200
    assert growth.most() < 1.2 * GROWTH  # pages that the codec keeps from one picture to the next count too
    reply = attacked.infer(task, blank(side + 100, side + 100, 8, kind), size="original")
    assert (reply.status_code, "more memory" in reply.text) == (422, True)


@pytest.mark.slow
def test_what_is_accepted_can_be_set(start_server: Callable[..., ServerProcess]) -> None:
    strict = start_server(max_aspect="2", max_scans="5", max_image_bytes=str(2**20), codec_processes="1")
    for data, why in (
        (photo(300, 100), "too long for its width"),
        (file("twenty scans"), "goes through its pixels"),
        (photo(500, 400, file_format="PNG"), "more memory"),
    ):
        reply = strict.infer("identity", data)
        assert (reply.status_code, why in reply.json()["detail"]) == (422, True), reply.text
    assert strict.infer("identity", photo(190, 100)).status_code == 200
