"""Ending the process at once, where an orderly end would wait for what never returns."""

import logging
import os
from typing import Final, NoReturn

ENGINE_HANGS: Final = 3
"""Exit code of a process that ends itself because its engine hangs; whatever watches it starts another."""
LOOP_HANGS: Final = 4
"""The same because its event loop hangs."""


def end_now(code: int) -> NoReturn:
    """Exit without waiting for any thread. Codec processes see their pipes close, and end."""
    logging.shutdown()
    os._exit(code)
