"""A process that is to be killed one day: known by a descriptor, since its number may be another's by then."""

import os
import signal
from contextlib import suppress


class Handle:
    """Of a running process that is no child of this one. Where the system has no such descriptors, its number does."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._descriptor: int | None = None
        self._by_number = False
        try:
            self._descriptor = os.pidfd_open(number)
        except ProcessLookupError:
            return  # it has ended
        except (OSError, AttributeError):
            self._by_number = True

    def kill(self) -> None:
        """End it, unless it has ended."""
        with suppress(ProcessLookupError):
            if self._descriptor is not None:
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
            elif self._by_number:
                os.kill(self._number, signal.SIGKILL)

    def close(self) -> None:
        """It is of no interest any more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._by_number = None, False
