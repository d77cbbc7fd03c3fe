"""The server's hold on the process that forks the codec's processes."""

import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Protocol

from service.codec.workers import fork_server_main


class _Process(Protocol):
    """A child of this process."""

    def poll(self) -> int | None:
        """How it ended; None while it runs."""

    def kill(self) -> None:
        """End it."""

    def wait(self) -> int:
        """Returns when it has ended, and how."""


class ForkServer:
    """It is started when first needed, and again should it be gone. What it does is in `fork_server_main`."""

    def __init__(self) -> None:
        self._process: _Process | None = None
        self._control: socket.socket | None = None

    def fork_ahead(self) -> None:
        """Start it as a copy of this process: what both have loaded is in memory once, 150 MB of it.

        To be called when everything is imported, but there are no other threads, nor anything opened. One that is
        started later is a process of its own.
        """
        if threading.active_count() > 1:
            return
        ours, theirs = socket.socketpair()
        child = os.fork()
        if child == 0:
            ours.close()
            fork_server_main.serve_in_fork(theirs)
        theirs.close()
        self._control, self._process = ours, _Forked(child)

    def fork(self, channel: socket.socket, niceness: int) -> None:
        """Have a process serve the other end of `channel`; `niceness` is added to this one's. Raises OSError."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._open()
        assert self._control is not None
        socket.send_fds(self._control, [bytes([niceness])], [channel.fileno()])

    def close(self) -> None:
        """Its children live on until their channels close."""
        if self._process is not None:  # first: were its control closed, it would end its children
            self._process.kill()
            self._process.wait()
        if self._control is not None:
            self._control.close()
        self._control = self._process = None

    def _open(self) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", fork_server_main.__name__, str(theirs.fileno())]
            one_thread = os.environ | {"OMP_NUM_THREADS": "1"}  # for the libraries that read it as they are loaded
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=one_thread)


class _Forked:
    """A child that was forked here. Its number is its own until it is waited for, which nobody else does."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._ended: int | None = None

    def poll(self) -> int | None:
        return self._wait(os.WNOHANG)

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self._number, signal.SIGKILL)

    def wait(self) -> int:
        ended = self._wait(0)
        assert ended is not None
        return ended

    def _wait(self, options: int) -> int | None:
        if self._ended is None:
            try:
                number, status = os.waitpid(self._number, options)
            except ChildProcessError:  # somebody ignores SIGCHLD
                number, status = self._number, 0
            if number:
                self._ended = os.waitstatus_to_exitcode(status)
        return self._ended
