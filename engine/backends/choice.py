"""Which backend runs: the one asked for, or with `auto` the best that works here."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Final, TypeVar, cast

import torch

from engine.backends.protocol import Backend
from engine.device import release_memory
from engine.errors import EngineError

_CLASSES: Final = {
    "eager": ("engine.backends.eager", "Eager"),
    "inductor": ("engine.backends.inductor", "Inductor"),
    "openvino": ("engine.backends.openvino", "OpenVino"),
    "tensorrt": ("engine.backends.tensorrt", "TensorRt"),
    "torch_tensorrt": ("engine.backends.torch_tensorrt", "TorchTensorRt"),
}
AUTO: Final = "auto"
BACKENDS: Final = (AUTO, *_CLASSES)
_BEST_FIRST: Final = {"cuda": ("torch_tensorrt", "tensorrt", "inductor", "eager"), "cpu": ("openvino", "eager")}
"""What `auto` tries. Inductor is left out on the CPU: it takes minutes to compile and was not faster than eager."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Choice:
    """What was taken and why; `passed_over` holds a line, "NAME: why not", for each better one that does not work."""

    name: str
    why: str
    passed_over: tuple[str, ...]


def make_backend(name: str, device: torch.device) -> Backend:
    """Raises BackendUnavailable that says what is missing."""
    module, of = _CLASSES[name]
    return cast(Backend, getattr(import_module(module), of)(device))


def choose(asked: str, device: torch.device, attempt: Callable[[Backend], T]) -> tuple[T, Choice]:
    """`attempt` is given one backend after the other until one passes; what it raises says why the others did not.

    A backend asked for by name is the only one tried. Raises EngineError.
    """
    if asked not in BACKENDS:
        raise EngineError(f"backend {asked!r} is not known; choose one of {', '.join(BACKENDS)}")
    if asked != AUTO:
        return _named(asked, device, attempt), Choice(asked, "asked for", ())
    passed_over: list[str] = []
    for name in _BEST_FIRST[device.type]:
        try:
            made = attempt(make_backend(name, device))
            return made, Choice(name, "the best that passes its self-check here", tuple(passed_over))
        except Exception as error:  # other people's compilers raise anything; whichever it is, the next may work
            passed_over.append(f"{name}: {error}")
        release_memory(device)  # the next needs the room of the one that failed
    raise EngineError("no backend works here: " + "; ".join(passed_over))


def _named(name: str, device: torch.device, attempt: Callable[[Backend], T]) -> T:
    try:
        return attempt(make_backend(name, device))
    except EngineError:
        raise
    except Exception as error:
        raise EngineError(f"backend {name} does not work here: {error}") from error
