"""An environment of its own for each peer: their pins conflict."""

import hashlib
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Final

from benchmarks.errors import BenchError
from benchmarks.peers.entries import Peer

_STAMP: Final = "vtv-requirements"


class EnvironmentFailed(BenchError):
    """An environment could not be made; the message says whose, and pip's last line."""


def python_of(peer: Peer, directory: Path) -> Path:
    """The interpreter of the peer's environment under `directory`, made or renewed where it has to be.

    What the peer does not pin itself (torch, for the real model) it finds in the environment that runs this.
    Raises EnvironmentFailed.
    """
    home = directory / peer.environment
    python, stamp = home / "bin" / "python", home / _STAMP
    wanted = hashlib.sha256(peer.requirements.read_bytes()).hexdigest()
    if not (stamp.is_file() and stamp.read_text() == wanted):
        print(f"making an environment for {peer.name} in {home}", file=sys.stderr, flush=True)
        venv.create(home, clear=True)
        _install(peer, python)
        fallback = home / Path(sysconfig.get_path("purelib", vars={"base": ""}).lstrip("/")) / "zz-vtv-fallback.pth"
        fallback.write_text(sysconfig.get_path("purelib") + "\n")
        stamp.write_text(wanted)
    return python


def _install(peer: Peer, python: Path) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "-r", str(peer.requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = [line for line in done.stderr.splitlines() if line.startswith("ERROR")][-1:] or ["pip failed"]
        raise EnvironmentFailed(f"{peer.name}: {last[0]}")
