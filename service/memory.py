"""Memory in a process that serves: what the C library and the garbage collector do by default costs requests time."""

import ctypes
import gc
from typing import Final

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h of glibc
_HEAPS: Final = 4
_LARGEST_KEPT: Final = 32 * 2**20  # bytes; the most that glibc takes
_NEW_OBJECTS: Final = 50_000
_FREE_KEPT: Final = 128 * 2**20


def keep_freed_memory() -> None:
    """Do not give memory back after every picture: the next one's pages would all be faulted in again.

    Refining one answer at 112 px takes 2.6 ms then, and 6.1 ms otherwise. And few heaps for all threads: with one for
    each, what one of them frees is of no use to the others, and a server at rest has 250 MB more; with a single one the
    engine's threads lie between what the event loop frees and takes again, and refining takes it half as long again. To
    be called before there are other threads. Elsewhere than in glibc it does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, _HEAPS)
        mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
        mallopt(_TRIM_THRESHOLD, _FREE_KEPT)


def settle() -> None:
    """Once everything is loaded: what is here by now stays, so the garbage collector need not go through it again.

    Going through all of it halted every request for 0.2 s now and then. Nor need it run after every few requests,
    as hardly anything that a request leaves behind is in a circle.
    """
    gc.collect()
    give_back()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)


def reclaim() -> None:
    """Free what is in circles and held by nobody, of what was set aside by `settle` too."""
    gc.unfreeze()
    gc.collect()


def give_back() -> None:
    """What the C library keeps of freed memory, after a time in which much was in hand."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
