"""Forks the codec's processes: `python -m service.codec.workers.fork_server_main DESCRIPTOR NICENESS`.

A process of one thread that has imported what they need, so that each costs milliseconds and little memory of its
own. It forks one for each socket that comes over DESCRIPTOR, and ends when that closes; as its children end when
theirs do, none outlives the server, however that ends.
"""

import gc
import os
import signal
import socket
import sys
from contextlib import suppress

import torch

from service.codec.workers.worker import work
from service.memory import keep_freed_memory


def main() -> None:
    """Fork until the server hangs up."""
    # The server decides when to stop: a terminal sends its signals to all.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    os.nice(int(sys.argv[2]))
    torch.set_num_threads(1)
    keep_freed_memory()
    gc.freeze()  # the collector would write to pages that are shared
    with socket.socket(fileno=int(sys.argv[1])) as control:
        while descriptors := socket.recv_fds(control, 1, 1)[1]:
            with socket.socket(fileno=descriptors[0]) as channel:
                if os.fork() == 0:
                    control.close()
                    with suppress(ConnectionError):
                        work(channel)
                    os._exit(0)


if __name__ == "__main__":
    main()
