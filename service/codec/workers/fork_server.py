"""The server's hold on the process that forks the codec's processes."""

import os
import socket
import subprocess
import sys
from typing import Final


class ForkServer:
    """It is started when first needed, and again should it be gone. What it does is in `fork_server_main`."""

    def __init__(self, niceness: int) -> None:
        self._niceness: Final = niceness
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def fork(self, channel: socket.socket) -> None:
        """Have a process serve the other end of `channel`. Raises OSError."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._open()
        assert self._control is not None
        socket.send_fds(self._control, [b"!"], [channel.fileno()])

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
            module = "service.codec.workers.fork_server_main"
            command = [sys.executable, "-m", module, str(theirs.fileno()), str(self._niceness)]
            one_thread = os.environ | {"OMP_NUM_THREADS": "1"}  # for the libraries that read it as they are loaded
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=one_thread)
