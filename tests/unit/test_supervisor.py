"""service.batching.supervisor with a real batcher: an engine that fails is replaced, and how often is bounded."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import numpy as np
import pytest

from engine.classification.head import Head
from engine.geometry import Pixels
from engine.program import EngineProgram
from engine.runner import Done
from engine.task_vector import TaskVector
from service.batching.batcher import Batcher, State
from service.batching.jobs import Job, Ticket
from service.batching.supervisor import Supervisor
from service.errors import NotReady, ServiceError
from tests.support import EventLoop, wait_until


class FragileEngine:
    """Adds the vector of a row's slot to the row; a row of zeros breaks it."""

    in_flight = 1

    def __init__(self, works: bool = True) -> None:
        self._works = works
        self._slots: dict[int, TaskVector] = {}

    def batch_sizes(self, program: EngineProgram) -> tuple[int, ...]:
        return 1, 2, 4

    def warm_up(self) -> None:
        if not self._works:
            raise RuntimeError("the self-check failed")

    def write_slot(self, slot: int, content: TaskVector | Head) -> None:
        assert isinstance(content, TaskVector)
        self._slots[slot] = content

    def submit(self, program: EngineProgram, pixels: Pixels, slots: Sequence[int]) -> Done:
        if not pixels.all():
            raise RuntimeError("a kernel failed")
        return Done(np.array([[self._slots[slot].decoder_value] for slot in slots], np.uint8))


class Bench:
    """A supervised batcher; `builds` says of each engine to come whether it works, None that it cannot be made."""

    def __init__(self, loop: EventLoop, *builds: bool | None, delays: Sequence[float] = (0.0, 0.0)) -> None:
        self._loop = loop
        self.restarts = 0
        self._builds = list(builds)
        failed = threading.Event()
        self._builds.insert(0, True)
        self.batcher = Batcher(FragileEngine(), 16, lambda report: None, failed.set)
        self.supervisor = Supervisor(self.batcher, failed, self._build, self._count, delays)
        self.supervisor.start()
        self.wait_for(State.READY)

    def _count(self) -> None:
        self.restarts += 1

    def _build(self) -> FragileEngine:
        works = self._builds.pop(0)
        if works is None:
            raise RuntimeError("the model's file is gone")
        return FragileEngine(works)

    def wait_for(self, state: State) -> None:
        wait_until(lambda: self.batcher.state is state, state.value)

    def ask(self, pixel: int, slot: int = 1) -> Job:
        job = Job(Ticket(1), "zero_shot", np.full(3, pixel, np.uint8), slot, "t", time.monotonic() + 60)
        with suppress(ServiceError):
            self._loop.run(self.batcher.infer(job))
        return job


@pytest.fixture
def start() -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    with EventLoop() as loop:

        def start(*builds: bool | None, delays: Sequence[float] = (0.0, 0.0)) -> Bench:
            benches.append(Bench(loop, *builds, delays=delays))
            return benches[-1]

        yield start
        for bench in benches:
            bench.supervisor.stop()
            bench.batcher.stop()


def vector(value: int) -> TaskVector:
    """All that FragileEngine looks at."""
    return TaskVector(*[np.array(value)] * 4, program="zero_shot", model="m")


def test_a_failed_batch_is_told_and_the_next_one_is_answered_by_a_new_engine(start: Callable[..., Bench]) -> None:
    bench = start(True)
    bench.batcher.write(1, vector(5))
    bench.batcher.write(2, vector(6))
    assert bench.ask(1).answer == [5]
    failed = bench.ask(0)
    assert failed.error is ServiceError
    bench.wait_for(State.READY)
    # Every slot is what it was, also one that the failed engine had not been asked for.
    assert (bench.ask(1).answer, bench.ask(1, slot=2).answer) == ([5], [6])
    wait_until(lambda: bench.restarts == 1, "a count")


def test_nothing_is_admitted_until_the_new_engine_is_checked(start: Callable[..., Bench]) -> None:
    bench = start(True, delays=(3600.0,))
    bench.ask(0)
    with pytest.raises(NotReady):
        bench.batcher.admit(1)
    assert bench.ask(1).error is NotReady
    assert bench.restarts == 0


@pytest.mark.parametrize("first", [False, pytest.param(None, marks=pytest.mark.slow)])
def test_an_engine_that_does_not_come_up_is_tried_again(start: Callable[..., Bench], first: bool | None) -> None:
    bench = start(first, True)
    bench.batcher.write(1, vector(5))
    bench.ask(0)
    bench.wait_for(State.READY)
    assert bench.ask(1).answer == [5]


@pytest.mark.parametrize("builds", [(False, False), pytest.param((None, None), marks=pytest.mark.slow)])
def test_it_gives_up_when_the_attempts_are_used_up(start: Callable[..., Bench], builds: tuple[bool | None]) -> None:
    bench = start(*builds)
    bench.ask(0)
    wait_until(lambda: bench.supervisor.given_up, "giving up")
    assert bench.batcher.state is State.FAILED


def test_a_failure_while_draining_is_not_followed_by_readiness(start: Callable[..., Bench]) -> None:
    bench = start(True)
    bench.batcher.drain()
    bench.ask(0)
    wait_until(lambda: bench.restarts == 1, "a rebuild")
    assert bench.batcher.state is State.DRAINING


def test_stopping_does_not_wait_for_the_next_attempt(start: Callable[..., Bench]) -> None:
    bench = start(True, delays=(3600.0,))
    bench.ask(0)
    bench.supervisor.stop()
    assert bench.restarts == 0
