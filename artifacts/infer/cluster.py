"""Many pictures on a Ray cluster (extra `ray`): an engine for each GPU, else for as many processors as this process
has threads.

Pictures are dealt out in parts, and answers come back to the driver, who writes them down. A worker that dies costs the
parts in its hands, which others get. Every machine must see the model and the pictures under the same names.
"""

import socket
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import ray
import torch
from ray import ObjectRef
from ray.exceptions import RayError, RayTaskError

from artifacts.cluster import gpus, joined, places, prepare_worker
from artifacts.errors import OfflineError, first_line
from artifacts.infer.answering import Answered, Answering
from artifacts.infer.files import PictureFiles, open_pictures
from artifacts.infer.many import Answer, MakeAnswer, Request, make_answering
from artifacts.provenance import code_digest
from artifacts.store.artifact import Artifact

MakeAnswering = Callable[[Request, Artifact, PictureFiles, int], Answering]
BATCHES: Final = 16
"""Of the engine's largest, in a part: between two parts the engine waits for less than one batch's time."""
_AHEAD: Final = 2
"""Parts of each worker, so that none waits for the driver."""
_DEATHS: Final = 10
"""Of workers in a row, without a part answered. What kills every worker must end."""


def answering_on(address: str, make: MakeAnswering = make_answering) -> MakeAnswer:
    """On the cluster at an address. Raises OfflineError where there is none, or a machine of it sees not what this one
    does; `make` is a module's function."""

    def answering(request: Request, artifact: Artifact) -> Answer:
        files = open_pictures(request.pictures)
        there = replace(request, model=request.model.absolute())

        def answer(names: list[str]) -> Iterator[Answered]:
            about = (make, there, artifact, files, _sample(files, names), code_digest())
            with joined(address):
                yield from _Workers(about, len(names)).answers(names)

        return answer

    return answering


def _sample(files: PictureFiles, names: list[str]) -> str | None:
    """A picture's file that can be read here, and so must be everywhere."""
    for name in names:
        try:
            files.read(name)
        except OfflineError:
            continue
        return name
    return None


@dataclass(slots=True, eq=False)
class _Place:
    """A worker, and what it was given."""

    worker: Any
    under_way: int = 0
    part: int = 0
    """Pictures it takes at once; 0 until its engine is ready."""


class _Workers:
    """As many as the cluster has room for; one that dies is replaced as soon as there is room again."""

    def __init__(self, about: tuple[Any, ...], pictures: int) -> None:
        threads, devices = torch.get_num_threads(), gpus()
        processors, each = (1, 1) if devices else (threads, 0)
        self._remote: Any = ray.remote(num_cpus=processors, num_gpus=each)(_Worker)
        self._about = (*about, max(1, places(1) // devices) if devices else threads)
        self._running: dict[ObjectRef[Any], tuple[_Place, list[str]]] = {}
        self._left: deque[str] = deque()
        self._deaths = 0
        self._places = [self._start() for _ in range(min(devices or places(threads), pictures))]

    def answers(self, names: list[str]) -> Iterator[Answered]:
        """Each once. Raises what a worker raised, and OfflineError where all die."""
        self._left.extend(names)
        try:
            while self._left or any(part for _, part in self._running.values()):
                self._deal()
                (done,), _ = ray.wait(list(self._running))
                yield from self._taken(done)
        finally:
            for place in self._places:
                ray.kill(place.worker)

    def _start(self) -> _Place:
        place = _Place(self._remote.remote())
        self._running[place.worker.start.remote(*self._about)] = (place, [])
        return place

    def _deal(self) -> None:
        for turn in range(_AHEAD):  # nobody gets a second part before all have one
            for place in self._places:
                if self._left and place.part and place.under_way <= turn:
                    part = [self._left.popleft() for _ in range(min(place.part, len(self._left)))]
                    self._running[place.worker.answer.remote(part)] = (place, part)
                    place.under_way += 1

    def _taken(self, done: "ObjectRef[Any]") -> list[Answered]:
        """What came of a call: answers, or none."""
        place, part = self._running.pop(done)
        place.under_way -= bool(part)
        try:
            found = ray.get(done)
        except RayTaskError as error:
            raise error.cause from None
        except RayError as error:
            self._lost(place, part, error)
            return []
        self._deaths = 0 if part else self._deaths
        if part:
            return list(found)
        place.part = found
        return []

    def _lost(self, place: _Place, part: list[str], error: RayError) -> None:
        """Put its pictures behind all others: it may be one of them that kills."""
        self._left.extend(part)
        if place not in self._places:
            return  # it was replaced when its first call was found lost
        self._deaths += 1
        if self._deaths > _DEATHS:
            died = f"{self._deaths} workers of the Ray cluster died in a row"
            raise OfflineError(f"{died}, {self._next()}: {first_line(error)}")
        ray.kill(place.worker)
        self._places[self._places.index(place)] = self._start()

    def _next(self) -> str:
        return f"at {self._left[0]} or one of the {len(self._left)} left" if self._left else "as they started"


class _Worker:
    """In a process of its own: an engine on one device."""

    def start(
        self,
        make: MakeAnswering,
        request: Request,
        artifact: Artifact,
        files: PictureFiles,
        sample: str | None,
        code: str,
        threads: int,
    ) -> int:
        """Load everything; returns how many pictures make a part."""
        prepare_worker(threads, code)
        try:
            if sample is not None:
                files.read(sample)
            self._answering = make(request, artifact, files, threads)
        except Exception as error:
            raise OfflineError(f"{socket.gethostname()}, a machine of the Ray cluster: {error}") from None
        return BATCHES * self._answering.engine.max_batch

    def answer(self, names: list[str]) -> list[Answered]:
        """Each once."""
        return list(self._answering.answer(names))
