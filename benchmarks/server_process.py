"""A real server in a process of its own, for as long as a `with` block lasts."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import IO

import httpx

from benchmarks.errors import BenchError

PATIENCE = 60.0
"""Seconds for a reply that is not measured: a machine under load may be slow to give one."""


class ServerDied(BenchError):
    """The server ended before it was ready; the message is its own last line."""


@contextmanager
def running_server(
    model: Path | None, store: Path | None, backend: str | None, settings: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Start `vtv serve` on a port of the system's choice; gives its address once it is ready. `settings` are
    variables VTV_NAME."""
    command = [sys.executable, "-m", "cli", "serve", "--port", "0"]
    for flag, value in (("--model", model), ("--store", store), ("--backend", backend)):
        if value is not None:
            command += [flag, str(value)]
    # Leaving this block closes the pipe and waits for the process.
    environment = os.environ | (settings or {})
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        drain: Thread | None = None
        try:
            url = _address(process.stderr)
            drain = Thread(target=_drain, args=(process.stderr,))
            drain.start()
            _wait_ready(url, process)
            yield url
        finally:
            process.terminate()
            if drain is not None:
                drain.join()


def _address(lines: IO[str]) -> str:
    last = "the server said nothing"
    for line in lines:
        last = line.strip()
        if found := re.search(r"listening on (http://[\w.:\[\]]+)", line):
            return found[1]
    raise ServerDied(last)


def _drain(lines: IO[str]) -> None:
    """Nobody reads on; a full pipe would stop the server."""
    for _ in lines:
        pass


def _wait_ready(url: str, process: "subprocess.Popen[str]") -> None:
    with httpx.Client(trust_env=False, timeout=PATIENCE, transport=httpx.HTTPTransport(retries=5)) as client:
        while client.get(f"{url}/readyz").status_code != 200:
            try:
                process.wait(0.1)
                raise ServerDied("the server ended while warming up")
            except subprocess.TimeoutExpired:
                continue
