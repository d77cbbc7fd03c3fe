"""Ending the process at once, where an orderly end would wait for what never returns."""

import logging
import os
import threading
from collections.abc import Callable
from typing import Final, NoReturn

ENGINE_HANGS: Final = 3
"""Exit code of a process that ends itself because its engine hangs; whatever watches it starts another."""
LOOP_HANGS: Final = 4
"""The same because its event loop hangs."""
_LOG_SECONDS: Final = 1.0


def end_now(code: int) -> NoReturn:
    """Exit without waiting for any thread. Codec processes see their pipes close, and end."""
    in_time(logging.shutdown)
    os._exit(code)


def in_time(use_log: Callable[[], object]) -> bool:
    """Whether the log could be used: the part that hangs may hold its lock for ever."""
    using = threading.Thread(target=use_log, daemon=True)
    using.start()
    using.join(_LOG_SECONDS)
    return not using.is_alive()
