"""Calls to a store, on threads of their own; one that does not come back is given up.

A network file system that is away halts whoever touches it, for ever and without an error, and so may a socket. No
thread can be ended; it is left behind, and others are tried, until too many are.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from artifacts.errors import StoreAway

T = TypeVar("T")
_PERIOD: Final = 1.0
_MOST_STUCK: Final = 8


@dataclass(slots=True, eq=False)
class _Call(Generic[T]):
    work: Callable[[], T]
    done: Callable[["_Call[T]"], None]
    """Called on the thread."""
    steps: int = 0
    unhurried: int = 0
    seen: int = 0
    """Steps, when it was waited for last."""
    silent: float = 0.0
    """Seconds that it was waited for without a step."""
    result: T | None = None
    error: BaseException | None = None
    finished: bool = False

    def waited(self) -> None:
        """A period went by."""
        self.silent = 0.0 if self.unhurried or self.steps != self.seen else self.silent + _PERIOD
        self.seen = self.steps

    def outcome(self) -> T:
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]


class StoreCalls:
    """`seconds` is how long a call may say nothing; `on_stuck` is told how many are given up and not back."""

    def __init__(self, seconds: float, on_stuck: Callable[[int], None]) -> None:
        self._seconds, self._on_stuck = seconds, on_stuck
        self._stuck: set[_Call[Any]] = set()
        self._lock = threading.Lock()
        self._here = threading.local()

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises; StoreAway where it says nothing for too long, or too many are stuck."""
        loop, came = asyncio.get_running_loop(), asyncio.Event()

        def done(_: _Call[T]) -> None:
            with suppress(RuntimeError):  # the loop is no more
                loop.call_soon_threadsafe(came.set)

        call = self._begin(work, done)
        while call.silent < self._seconds:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PERIOD):
                    await came.wait()
            if call.finished:
                return call.outcome()
            call.waited()
        raise self._given_up(call)

    def run_here(self, work: Callable[[], T]) -> T:
        """As `run`, where there is no event loop yet."""
        came = threading.Event()
        call = self._begin(work, lambda _: came.set())
        while call.silent < self._seconds:
            if came.wait(_PERIOD):
                return call.outcome()
            call.waited()
        raise self._given_up(call)

    def step(self) -> None:
        """From inside a call: it goes on."""
        call: _Call[Any] | None = getattr(self._here, "call", None)
        if call is not None:
            call.steps += 1

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        """From inside a call: what follows waits for no store, and may take as long as it likes."""
        call: _Call[Any] | None = getattr(self._here, "call", None)
        if call is None:
            yield
            return
        call.unhurried += 1
        try:
            yield
        finally:
            call.unhurried -= 1

    def _begin(self, work: Callable[[], T], done: Callable[[_Call[T]], None]) -> _Call[T]:
        if len(self._stuck) >= _MOST_STUCK:
            raise StoreAway(f"{len(self._stuck)} calls to it have not come back")
        call = _Call(work, done)
        threading.Thread(target=self._work, args=(call,), name="store", daemon=True).start()
        return call

    def _work(self, call: _Call[T]) -> None:
        self._here.call = call
        try:
            call.result = call.work()
        except BaseException as error:
            call.error = error
        call.finished = True
        with self._lock:
            if call in self._stuck:
                self._stuck.remove(call)
                self._on_stuck(len(self._stuck))
        call.done(call)

    def _given_up(self, call: _Call[T]) -> StoreAway:
        with self._lock:
            if not call.finished:
                self._stuck.add(call)
                self._on_stuck(len(self._stuck))
        return StoreAway(f"it has not answered for {self._seconds:.0f} s")
