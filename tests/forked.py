"""Server processes that begin as copies of one that has imported what they need.

What a server imports takes seconds of a processor, and the tests start many. From there on a copy is what
`vtv serve` is: a process of its own, set up by its environment alone. Tests of starting, of commands and of memory
run the command itself.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import IO, Final

_FORKS: Final = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["cli.main", "service.server", "service.codec.workers.worker", "engine.backends.eager", "pydantic.v1", "uvloop"]
)


class ForkedServer:
    """`vtv serve` as a copy; what tests use of subprocess.Popen."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        reading, writing = _FORKS.Pipe(duplex=False)
        self._process = _FORKS.Process(target=_serve, args=(dict(environment), writing))
        self._process.start()
        writing.close()
        self.stderr: IO[str] = os.fdopen(os.dup(reading.fileno()), encoding="utf-8", errors="replace")
        reading.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("vtv serve", timeout or 0.0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _serve(environment: dict[str, str], stderr: Connection) -> None:
    os.dup2(stderr.fileno(), sys.stderr.fileno())
    stderr.close()
    os.environ.clear()
    os.environ.update(environment)
    from cli.main import main

    try:
        code = main(["serve"])
    finally:
        _save_coverage()
    sys.exit(code)


def _save_coverage() -> None:
    """Where branches are measured: a process of this kind ends without the usual leave-taking."""
    if (coverage := sys.modules.get("coverage")) and (measured := coverage.Coverage.current()):
        measured.stop()
        measured.save()
