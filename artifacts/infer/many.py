"""Answers to many pictures: each once, however often the work is interrupted."""

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from artifacts.errors import OfflineError
from artifacts.infer.answering import SLOT, Answered, Answering
from artifacts.infer.files import PictureFiles, open_pictures, output_names
from artifacts.infer.manifest import Manifest
from artifacts.infer.steps import PictureSteps, Wanted, settings_for
from artifacts.pictures.formats import Format
from artifacts.progress import Progress, Steps
from artifacts.store.address import StoreAddress
from artifacts.store.artifact import Artifact
from artifacts.store.open import open_store
from engine.checkpoint import read_description
from engine.device import best_device
from engine.runtime import Engine

_SUFFIXES: dict[Format, str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
Answer = Callable[[list[str]], Iterator[Answered]]


@dataclass(frozen=True, slots=True)
class Request:
    """Which pictures, what is asked of them, and where the answers go."""

    model: Path
    store: StoreAddress
    pictures: StoreAddress
    task: str
    output: Path
    wanted: Wanted
    format: Format = "png"
    backend: str = "auto"


MakeAnswer = Callable[[Request, Artifact], Answer]


@dataclass(frozen=True, slots=True)
class Summary:
    """What has become of the pictures, earlier runs' included."""

    pictures: int
    answered: int
    skipped: list[tuple[str, str]]
    """Pictures that cannot be answered, and why."""


def infer_many(request: Request, progress: Progress, answering: MakeAnswer) -> Summary:
    """Answer what the manifest does not hold yet. Raises OfflineError."""
    if isinstance(request.pictures, Path) and request.output.absolute().is_relative_to(request.pictures.absolute()):
        raise OfflineError(f"{request.output} lies among the pictures: its answers would be taken for some of them")
    artifact = open_store(request.store).read(request.task, read_description(request.model)[1])
    settings_for(request.task, artifact.vector.answer, request.wanted)
    names = open_pictures(request.pictures).names()
    if not names:
        raise OfflineError(f"{request.pictures} holds no picture: files whose names end in .png, .jpg, .jpeg or .webp")
    with Manifest(request.output, _about(request, artifact)) as manifest:
        left = [name for name in names if name not in manifest.done]
        if left:
            outputs = output_names(names, _SUFFIXES[request.format])
            _work(request, manifest, left, outputs, progress, answering(request, artifact))
        return Summary(len(manifest.done), len(manifest.done) - len(manifest.failed), manifest.failed)


def _work(
    request: Request, manifest: Manifest, left: list[str], outputs: dict[str, str], progress: Progress, answer: Answer
) -> None:
    done = len(manifest.done)
    shown = Steps(f"{request.task}: infer", done + len(left), done, progress)
    answers = answer(left)
    try:
        for name, data, error in answers:
            if error is None:
                _write(request.output / outputs[name], data)
            manifest.add(name, outputs[name] if error is None else None, error)
            shown.update(f"{len(manifest.failed)} skipped")
    finally:
        answers.close()  # type: ignore[attr-defined]
        shown.close()


def _about(request: Request, artifact: Artifact) -> dict[str, str]:
    wanted = asdict(request.wanted)
    return {
        "task": request.task,
        "artifact": artifact.hash,
        "model": artifact.vector.model,
        **{name: str(value) for name, value in wanted.items() if name != "mask"},
    }


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)


def answering_here(request: Request, artifact: Artifact) -> Answer:
    """On this machine's best device."""
    return make_answering(request, artifact, open_pictures(request.pictures), os.cpu_count() or 1).answer


def make_answering(request: Request, artifact: Artifact, files: PictureFiles, threads: int) -> Answering:
    """An engine with the task in it, and its steps."""
    engine = Engine.load(request.model, slots=2, backend=request.backend, device=best_device())
    engine.write_slot(SLOT, artifact.vector)
    settings = settings_for(request.task, artifact.vector.answer, request.wanted)
    return Answering(engine, PictureSteps(engine.geometry, settings, request.wanted), files, request.format, threads)
