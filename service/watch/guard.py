"""The server's hold on its guard: a process that kills the server where it can no longer help itself.

A server that is stopped as a whole, or has a thread that never gives the interpreter back, runs no code of ours.
Whoever watches over processes (Docker, systemd, Kubernetes) sees it only if it ends.
"""

import logging
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final

from service.watch import guard_main

log: Final = logging.getLogger("vtv.watchdog")
_BEAT: Final = b"."
_PAUSE_SECONDS: Final = 10.0


class Guard:
    """Belongs to the event loop. It is started at the first beat, and again should it be gone or silent."""

    def __init__(self, seconds: float) -> None:
        """The server is killed when it was silent for so long."""
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._heard = 0.0
        self._quiet = 0.0
        self._try_at = 0.0

    def beat(self) -> None:
        """The server is well."""
        if self._process is None or self._process.poll() is not None or not self._answers():
            self._replace()
        if self._channel is not None:
            with suppress(BlockingIOError, ConnectionError):
                self._channel.send(_BEAT)

    def close(self) -> None:
        """The server ends by itself, or needs no guard any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._channel is not None:
            self._channel.close()
        self._process = self._channel = None

    def _replace(self) -> None:
        self.close()
        if monotonic() < self._try_at:
            return
        try:
            self._open()
        except OSError as error:
            log.error("the process that guards the server could not be started: %s", error.strerror)
            self._try_at = monotonic() + _PAUSE_SECONDS

    def _answers(self) -> bool:
        """Whether it was heard of lately. What it did not say while both were halted counts as one beat."""
        assert self._channel is not None
        now, before = monotonic(), self._heard
        self._heard = now
        try:
            heard = self._channel.recv(1024)
        except BlockingIOError:
            self._quiet += min(now - before, 1.0)
            return self._quiet < self._seconds
        except ConnectionError:
            return False
        self._quiet = 0.0
        return bool(heard)

    def _open(self) -> None:
        self._channel, theirs = socket.socketpair()
        self._channel.setblocking(False)
        with theirs:
            # By its file and without site-packages: it needs 8 MB so.
            main = str(Path(guard_main.__file__))
            command = [sys.executable, "-I", "-S", main, str(theirs.fileno()), str(self._seconds)]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        self._heard, self._quiet = monotonic(), 0.0
