"""Files that are mapped into memory, and that nobody reads any more."""

import ctypes
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

_DONT_NEED: Final = 4  # MADV_DONTNEED of Linux
_MAPPING: Final = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ +(/.*)$")


def forget_pages(folder: Path) -> None:
    """Give back what was read of files below `folder`: whoever does read on finds it in the file.

    Of mappings that are read-only and unchanged: a library's addresses, once written into it, are in no file.
    Elsewhere than on Linux it does nothing.
    """
    with suppress(OSError, AttributeError):
        madvise = ctypes.CDLL(None).madvise
        for start, end in _unchanged(folder):
            madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _DONT_NEED)


def _unchanged(folder: Path) -> list[tuple[int, int]]:
    """Addresses of such mappings; raises OSError."""
    found, mapping = [], None
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if at := _MAPPING.match(line):
            mapping = at if "w" not in at[3] and at[4].startswith(f"{folder}/") else None
        elif "-" in line.partition(" ")[0]:
            mapping = None
        elif mapping and line.startswith("Anonymous:") and line.split()[1] == "0":
            found.append((int(mapping[1], 16), int(mapping[2], 16)))
    return found
