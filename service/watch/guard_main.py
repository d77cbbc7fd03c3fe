"""Kills the process that started it when that says nothing for too long: `python guard_main.py DESCRIPTOR SECONDS`.

It needs nothing but the standard library's smallest modules. It ends when DESCRIPTOR closes.
"""

import ctypes
import os
import select
import signal
import socket
import sys
from contextlib import suppress

_PERIOD = 1.0
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def main() -> None:
    """Listen until the server hangs up, or is to be killed."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:  # one that is stopped would not see that the server hung up
        prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    # The server decides when to stop: a terminal sends its signals to all.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    server, seconds, silent = os.getppid(), float(sys.argv[2]), 0.0
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        channel.setblocking(False)
        while silent < seconds:
            # Periods are counted, not time: where guard and server were halted together, nobody was silent.
            if not select.select([channel], [], [], _PERIOD)[0]:
                silent += _PERIOD
                continue
            if not channel.recv(1024):
                return
            silent = 0.0
            with suppress(BlockingIOError):
                channel.send(b".")
    if os.getppid() == server:
        os.write(2, f"the server has done nothing for {silent:.0f} s: it is killed\n".encode())
        os.kill(server, signal.SIGKILL)


if __name__ == "__main__":
    main()
