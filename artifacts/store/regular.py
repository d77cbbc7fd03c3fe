"""Files of a store that others may write to: only regular ones are read, and only as much as is expected.

A pipe would hold its reader up for ever, a device feed it without end.
"""

import os
import stat
from errno import EFBIG, EINVAL
from io import BufferedReader
from pathlib import Path


def open_regular(path: Path, limit: int) -> BufferedReader:
    """Open for reading; raises OSError for what is no regular file, or has more than `limit` bytes."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    about = os.fstat(file)
    if not stat.S_ISREG(about.st_mode) or about.st_size > limit:
        os.close(file)
        regular = stat.S_ISREG(about.st_mode)
        raise OSError(EFBIG, f"it has more than {limit} bytes") if regular else OSError(EINVAL, "it is no regular file")
    return os.fdopen(file, "rb")


def is_regular(path: Path) -> bool:
    """Whether a name is a regular file's, through links too."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False
