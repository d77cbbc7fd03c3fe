"""The export in a process of its own: what it leaves behind, how it fails, and how it ends with its server."""

import os
import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.backends import onnx_process
from engine.backends.onnx_export import export
from engine.backends.onnx_process import export_apart
from engine.errors import EngineError
from engine.network import OneShot
from engine.program import Scope
from tests.support import ServerProcess, tiny_network, wait_until

pytest.importorskip("onnx", reason="onnx is not installed")
pytestmark = pytest.mark.slow
OPSET = 18


class Bessel(OneShot):
    """Something that ONNX has no operator for."""

    def forward(self, pixels: Tensor) -> Tensor:
        return torch.special.bessel_j0(pixels[:, 1:112, 1:112].float()).to(torch.uint8)


class Deadly(OneShot):
    """Ends the process that reads it, as the kernel does where memory runs out."""

    def __setstate__(self, state: dict[str, object]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Stopped(OneShot):
    """Stops the process that reads it, as a person or a freezer does."""

    def __setstate__(self, state: dict[str, object]) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)


def children(pid: int) -> list[int]:
    """Processes that export, below another."""
    below = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    threads = [int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()]
    for thread in threads:
        below += [int(word) for word in Path(f"/proc/{pid}/task/{thread}/children").read_text().split()]
    return [each for each in set(below) if b"onnx_process" in Path(f"/proc/{each}/cmdline").read_bytes()]


def test_it_leaves_what_an_export_leaves(tmp_path: Path) -> None:
    network = tiny_network()
    for name, make in (("here", export), ("apart", export_apart)):
        (tmp_path / name).mkdir()
        make(network, torch.float32, OPSET, tmp_path / name / "n.onnx")
    here, apart = (
        {path.name: path.stat().st_size for path in (tmp_path / name).iterdir()} for name in ("here", "apart")
    )
    assert apart == here


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Bessel, "one_shot cannot be exported: .*bessel_j0"),
        (Deadly, "one_shot cannot be exported: the process that does it was ended by SIGKILL"),
    ],
)
def test_why_it_failed_is_said_in_one_line(kind: type[OneShot], message: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=message) as failed:
        export_apart(kind(tiny_network().model, Scope.ANSWER), torch.float32, OPSET, tmp_path / "n.onnx")
    assert "\n" not in str(failed.value)


def test_one_that_is_held_up_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_process, "_LONGEST_SECONDS", 3.0)
    with pytest.raises(EngineError, match="one_shot cannot be exported: it took more than 3 s"):
        export_apart(Stopped(tiny_network().model, Scope.ANSWER), torch.float32, OPSET, tmp_path / "n.onnx")
    assert not list(tmp_path.iterdir())
    assert not children(os.getpid())


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_it_ends_with_a_server_that_starts(how: signal.Signals, tiny_settings: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    server = ServerProcess(**tiny_settings | {"backend": "openvino", "cache": str(tmp_path)})
    wait_until(lambda: bool(children(server.process.pid)), "an export")
    (child,) = children(server.process.pid)
    server.process.send_signal(how)
    assert server.process.wait(30) == (0 if how is signal.SIGTERM else -how)
    wait_until(lambda: not Path(f"/proc/{child}").exists(), "the end of the process that exports")
    server.stop()


def test_a_server_whose_export_is_killed_says_so(tiny_settings: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    server = ServerProcess(**tiny_settings | {"backend": "openvino", "cache": str(tmp_path)})
    wait_until(lambda: bool(children(server.process.pid)), "an export")
    os.kill(children(server.process.pid)[0], signal.SIGKILL)
    assert server.process.wait(30) == 2
    server.stop()
    assert "cannot be exported: the process that does it was ended by SIGKILL" in server.log
    assert "Traceback" not in server.log
