"""A peer's server in processes of its own, for as long as a `with` block lasts."""

import os
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from benchmarks.connection import Connection
from benchmarks.generators import run
from benchmarks.server_process import ServerDied

_START_SECONDS: Final = 90.0
_STOP_SECONDS: Final = 20.0
_ROOT: Final = Path(__file__).parents[2]


@contextmanager
def running(
    name: str, command: Callable[[int], list[str]], environment: Mapping[str, str], trial: Callable[[str], bytes]
) -> Iterator[str]:
    """Start `command(port)`; gives the address once the request `trial(url)` is answered with 200.

    Raises ServerDied with the last line that the server wrote. Its whole process group is stopped at the end.
    """
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    with TemporaryFile() as log:
        process = subprocess.Popen(
            command(port), env=_environment(environment), stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait(name, process, lambda: _answers(url, trial(url)), log.fileno())
            yield url
        finally:
            _stop(process)


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    # Triton's stub loads whatever libpython it finds: it has to be that of the interpreter.
    own = {"PYTHONPATH": str(_ROOT), "LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR"))}
    return {**os.environ, **own, **given}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _answers(url: str, request: bytes) -> bool:
    async def ask() -> int:
        connection = await Connection.to(url)
        status, _ = await connection.ask(request)
        await connection.close()
        return status

    try:
        return run(ask()) == 200
    except OSError:
        return False


def _wait(name: str, process: "subprocess.Popen[bytes]", ready: Callable[[], bool], log: int) -> None:
    limit = time.monotonic() + _START_SECONDS
    while not ready():
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            if time.monotonic() < limit:
                continue
        written = os.pread(log, 1 << 20, 0).decode(errors="replace").strip().splitlines()
        raise ServerDied(f"{name}: {written[-1] if written else 'the server said nothing'}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # workers that outlived their parent
    process.wait()
