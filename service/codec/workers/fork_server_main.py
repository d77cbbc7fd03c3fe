"""Forks the codec's processes: `python -m service.codec.workers.fork_server_main DESCRIPTOR`, or a copy of the server.

A process of one thread that has imported what they need, so that each costs milliseconds and little memory of its
own. It forks one for each socket that comes over DESCRIPTOR, with a byte of niceness, and ends when that closes, and
its children with it: none outlives the server, however that ends, and whatever they are at. Where memory runs out the
system ends one of them, not the server.
"""

import gc
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

import torch

from service.codec.workers.worker import work
from service.memory import keep_freed_memory

_FIRST_TO_GO: Final = 800
"""Of 1,000, added to what the system reckons by size; what serves comes later."""


def main() -> None:
    """Of a process of its own."""
    keep_freed_memory()
    serve(socket.socket(fileno=int(sys.argv[1])))


def serve_in_fork(control: socket.socket) -> NoReturn:
    """Of a copy of the server, which goes on with nothing of what that was at."""
    try:
        serve(control)
    finally:
        os._exit(0)


def serve(control: socket.socket) -> None:
    """Fork until the server hangs up."""
    # The server decides when to stop: a terminal sends its signals to all.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    _go_first()
    torch.set_num_threads(1)
    gc.freeze()  # the collector would write to pages that are shared
    children: list[int] = []
    with control:
        while (received := socket.recv_fds(control, 1, 1))[1]:
            niceness, descriptors, *_ = received
            with socket.socket(fileno=descriptors[0]) as channel:
                child = os.fork()
                if child == 0:
                    control.close()
                    os.nice(niceness[0])
                    with suppress(ConnectionError):
                        work(channel)
                    os._exit(0)
            children = [*_alive(children), *_descriptor(child)]
    for descriptor in children:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)


def _go_first() -> None:
    """Where memory runs out: a picture is lost, or tried again. Elsewhere than on Linux it does nothing."""
    score = Path("/proc/self/oom_score_adj")
    with suppress(OSError):
        score.write_text(str(max(_FIRST_TO_GO, int(score.read_text()))))


def _descriptor(process: int) -> list[int]:
    """By which it is known even when its number is another's; none where it has ended, or the system has no such."""
    try:
        return [os.pidfd_open(process)]
    except (OSError, AttributeError):
        return []


def _alive(processes: list[int]) -> list[int]:
    """Descriptors of those that have not ended; the others are closed."""
    poll = select.poll()
    for descriptor in processes:
        poll.register(descriptor, select.POLLIN)
    ended = {descriptor for descriptor, _ in poll.poll(0)}
    for descriptor in ended:
        os.close(descriptor)
    return [descriptor for descriptor in processes if descriptor not in ended]


if __name__ == "__main__":
    main()
