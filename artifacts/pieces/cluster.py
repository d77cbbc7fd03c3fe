"""Pieces as tasks of a Ray cluster (extra `ray`). A worker that dies costs the piece in its hands, which another gets.

The model is sent once to each worker, and so is what many pieces share.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from threading import Event, Lock
from typing import Any, Final, TypeVar

import ray
import torch
from ray import ObjectRef
from ray.exceptions import RayError, RayTaskError

from artifacts.cluster import gpus, places, prepare_worker
from artifacts.errors import OfflineError
from artifacts.pieces.protocol import ROWS
from artifacts.provenance import code_digest
from engine.model import MaeVqgan

R = TypeVar("R")
_RETRIES: Final = 10
"""Of a piece whose worker died. What kills every worker must end."""
_AHEAD: Final = 4
"""Pieces for each worker, so that none waits for the driver."""
_KEPT: Final = 64
"""Shared objects that are held on to: the values, the validation pictures and the last steps' of several tasks."""
_LOOK_SECONDS: Final = 0.5


class Cluster:
    """The workers of the cluster that this process joined: one for each GPU, else for as many processors as this
    process has threads."""

    elsewhere = True

    def __init__(self, model: MaeVqgan, fingerprint: str, device: str | None = None) -> None:
        self._model, self._fingerprint = [ray.put(model)], fingerprint
        self._threads, self._stopped = torch.get_num_threads(), Event()
        on_gpus = gpus() if device != "cpu" else 0
        if device == "cuda" and not on_gpus:
            raise OfflineError("--device cuda: the Ray cluster has no GPU")
        self._device = "cuda" if on_gpus else "cpu"
        self.rows = ROWS[self._device]
        self.at_once = _AHEAD * (on_gpus or places(self._threads))
        processors, each = (1, 1) if on_gpus else (self._threads, 0)
        remote: Any = ray.remote(num_cpus=processors, num_gpus=each, max_retries=_RETRIES)
        self._compute = remote(_compute)
        self._sent: OrderedDict[int, tuple[Any, ObjectRef[Any]]] = OrderedDict()
        self._lock = Lock()

    def map(self, work: Callable[..., R], shared: Sequence[Any], pieces: Sequence[Any]) -> list[R]:
        """From any thread. Raises what `work` raised, KeyboardInterrupt once it was stopped."""
        about = (self._model, self._fingerprint, self._device, self._threads, code_digest())
        refs = [self._put(each) for each in shared]
        running = [self._compute.remote(about, work, refs, piece) for piece in pieces]
        try:
            left = running
            while left:
                if self._stopped.is_set():
                    raise KeyboardInterrupt
                _, left = ray.wait(left, num_returns=len(left), timeout=_LOOK_SECONDS)
            found: list[R] = ray.get(running)
            return found
        except RayTaskError as error:
            raise error.cause from None
        except RayError as error:
            raise OfflineError(f"the Ray cluster gave a piece up: {error}") from None
        except KeyboardInterrupt:
            for ref in running:
                with suppress(RayError):
                    ray.cancel(ref, force=True)
            raise

    def stop(self) -> None:
        """End every `map`, in whatever thread."""
        self._stopped.set()

    def _put(self, value: Any) -> "ObjectRef[Any]":
        with self._lock:
            held = self._sent.get(id(value))
            if held is None:
                held = self._sent[id(value)] = (value, ray.put(value))  # what is held keeps its id
                if len(self._sent) > _KEPT:
                    self._sent.popitem(last=False)
            self._sent.move_to_end(id(value))
            return held[1]


def _compute(about: tuple[Any, ...], work: Callable[..., R], refs: list["ObjectRef[Any]"], piece: Any) -> R:
    """In a worker."""
    (model,), fingerprint, device, threads, wanted = about
    _prepare(threads, wanted)
    return work(_model(fingerprint, device, _Ref(model)), *(_shared(_Ref(ref)) for ref in refs), piece)


class _Ref:
    """A reference that tells by its object's name whether it is the same as another."""

    def __init__(self, ref: "ObjectRef[Any]") -> None:
        self.ref = ref

    def __hash__(self) -> int:
        return hash(self.ref.hex())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Ref) and self.ref.hex() == other.ref.hex()


_prepare = lru_cache(1)(prepare_worker)


@lru_cache(1)
def _model(fingerprint: str, device: str, ref: _Ref) -> MaeVqgan:
    model: MaeVqgan = ray.get(ref.ref)
    return model.to(device)


@lru_cache(_KEPT)
def _shared(ref: _Ref) -> Any:
    return ray.get(ref.ref)
