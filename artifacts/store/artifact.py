"""The artifact file: one safetensors file per task vector, identified by its SHA-256 (docs/artifact-format.md)."""

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from artifacts.errors import ArtifactError
from artifacts.store.file import check_entries, file_hash, read_artifact, write_artifact
from artifacts.store.strict_json import strict_json
from engine.confidence import read_confidence
from engine.errors import EngineError
from engine.program import ProgramName
from engine.task_vector import AnswerSettings, TaskVector

SCHEMA = "vtv-task-vector-1"
TENSORS = ("encoder.value", "encoder.mask", "decoder.value", "decoder.mask")
REQUIRED = (
    "schema",
    "task",
    "program",
    "model",
    "granularity",
    "method",
    "seed",
    "prompts",
    "dataset",
    "metric",
    "answer",
    "created",
    "code",
)
LARGEST_VALUE = 1000.0
"""A hundred times what heads of trained models give; beyond it an answer would not be finite in half precision."""
_NUMBER, _WHOLE = (float, int), (int,)
SETTING_TYPES: dict[str, tuple[type, ...]] = {
    "temperature": _NUMBER,
    "refine": (str,),
    "radius": _WHOLE,
    "eps": _NUMBER,
    "chroma": _NUMBER,
    "detail": _NUMBER,
    "smooth": _WHOLE,
    "threshold": (*_NUMBER, str, type(None)),
}
"""Of answer settings in a file; a truth value is no number."""
SCOPE = "answer"
"""What is decoded: there is no other."""
FIRST_SETTINGS = ("temperature", "refine", "radius", "eps")
"""Answer settings that every file holds."""


@dataclass(frozen=True)
class Artifact:
    """A task vector with what is known about it. `metadata["metric"]` and `["answer"]` are JSON."""

    hash: str
    task: str
    vector: TaskVector
    metadata: dict[str, str]

    @property
    def description(self) -> str:
        """What the task does, in a sentence."""
        return self.metadata.get("description", "")


def save_artifact(path: Path, vector: TaskVector, metadata: dict[str, str]) -> str:
    """Write a task vector and return its hash; values at unwritten sites are stored as zero."""
    tensors = {
        "encoder.value": _masked(vector.encoder_value, vector.encoder_mask),
        "encoder.mask": vector.encoder_mask.contiguous(),
        "decoder.value": _masked(vector.decoder_value, vector.decoder_mask),
        "decoder.mask": vector.decoder_mask.contiguous(),
    }
    full = dict(metadata, schema=SCHEMA, program=vector.program, model=vector.model, answer=answer_json(vector.answer))
    return write_artifact(path, tensors, full, REQUIRED)


def load_artifact(path: Path, fingerprint: str | None = None) -> Artifact:
    """Read and check a file; with `fingerprint`, refuse one made for another model. Raises ArtifactError."""
    metadata, tensors = read_artifact(path, TENSORS, lambda found: check_metadata(path, found, fingerprint))
    check_tensors(path, tensors)
    vector = TaskVector(
        tensors["encoder.value"].float(),
        tensors["encoder.mask"],
        tensors["decoder.value"].float(),
        tensors["decoder.mask"],
        metadata["program"],
        metadata["model"],
        parse_answer(path, metadata["answer"]),
    )
    return Artifact(file_hash(path), metadata["task"], vector, metadata)


def check_metadata(path: Path, metadata: dict[str, str], fingerprint: str | None) -> None:
    """Refuse an unknown schema, missing entries, a bad name, or another model."""
    if metadata.get("schema") != SCHEMA:
        raise ArtifactError(f"{path.name} has schema {metadata.get('schema')!r}; this version reads {SCHEMA}")
    check_entries(path, metadata, REQUIRED)
    if metadata["program"] not in get_args(ProgramName):
        raise ArtifactError(f"{path.name} is for a program that there is not; known are {get_args(ProgramName)}")
    if fingerprint is not None and metadata["model"] != fingerprint:
        raise ArtifactError(
            f"{path.name} was made for model {metadata['model'][:12]}, this one is {fingerprint[:12]}: build it again"
        )


def check_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Refuse wrong types, shapes that do not belong together, and values that no head has."""
    for part in ("encoder", "decoder"):
        value, mask = tensors[f"{part}.value"], tensors[f"{part}.mask"]
        if mask.dtype != torch.bool or not value.is_floating_point():
            raise ArtifactError(
                f"{path.name}: {part} needs float values and a boolean mask, not {value.dtype}, {mask.dtype}"
            )
        if value.dim() != 4 or mask.shape != value.shape[:3]:
            raise ArtifactError(f"{path.name}: {part} mask {list(mask.shape)} does not fit value {list(value.shape)}")
        if not bool(torch.isfinite(value).all()):
            raise ArtifactError(f"{path.name}: {part} values are not all finite")
        if value.numel() and float(value.abs().max()) > LARGEST_VALUE:
            raise ArtifactError(f"{path.name}: {part} values go beyond {LARGEST_VALUE}, which no head gives")


def answer_json(answer: AnswerSettings) -> str:
    """Answer settings as stored; decoding is of the answer alone."""
    stored = {"scope": SCOPE, **asdict(replace(answer, confidence=None))}
    if answer.confidence is not None:
        stored["confidence"] = answer.confidence._asdict()
    return json.dumps(stored, sort_keys=True)


def _check_settings(settings: dict[str, Any], scope: object) -> None:
    """Raises TypeError."""
    if scope != SCOPE:
        raise TypeError(f"its scope is not {SCOPE}")
    for name in settings.keys() & SETTING_TYPES.keys():
        if type(settings[name]) not in SETTING_TYPES[name]:
            raise TypeError(f"{name} is of type {type(settings[name]).__name__}")


def parse_answer(path: Path, text: str) -> AnswerSettings:
    """The reverse of `answer_json`; what a file from before a setting does not say has its default."""
    try:
        data = strict_json(text)
        known = {field.name: data[field.name] for field in fields(AnswerSettings) if field.name in data}
        if known.get("confidence") is not None:
            known["confidence"] = read_confidence(**known["confidence"])
        settings = {name: data[name] for name in FIRST_SETTINGS} | known
        _check_settings(settings, data.get("scope", SCOPE))
        return AnswerSettings(**settings)
    except (KeyError, TypeError, ValueError, EngineError) as error:
        raise ArtifactError(f"{path.name}: answer settings are not understood: {error}") from None


def _masked(value: Tensor, mask: Tensor) -> Tensor:
    return (value * mask[..., None]).half().contiguous()
