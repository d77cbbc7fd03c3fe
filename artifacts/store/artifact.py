"""The artifact file: one safetensors file per task vector, identified by its SHA-256 (CONTRACT.md, Artifact file)."""

import hashlib
import json
import struct
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from artifacts.errors import ArtifactError
from engine.errors import EngineError
from engine.task_vector import AnswerSettings, TaskVector

SCHEMA = "vtv-task-vector-1"
HEADER_LIMIT = 1 << 20
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
NAME_LIMIT = 64
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
    missing = [name for name in REQUIRED if name not in full]
    if missing:
        raise ArtifactError(f"metadata lacks {', '.join(missing)}")
    check_name(full["task"])
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(canonical(save(tensors, metadata=full)))
    partial.replace(path)
    return file_hash(path)


def canonical(content: bytes) -> bytes:
    """The same file with its metadata sorted: the library writes it in an order that changes from run to run."""
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content[8 + size :]


def load_artifact(path: Path, fingerprint: str | None = None) -> Artifact:
    """Read and check a file; with `fingerprint`, refuse one made for another model. Raises ArtifactError."""
    check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            check_metadata(path, metadata, fingerprint)
            if sorted(file.keys()) != sorted(TENSORS):
                raise ArtifactError(f"{path.name} holds {', '.join(sorted(file.keys()))}, not {', '.join(TENSORS)}")
            # Copies: what is read maps the file, which somebody may cut short while the vector is in use.
            tensors = {name: file.get_tensor(name).clone() for name in TENSORS}
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{path.name} is not a safetensors file: {error}") from None
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


def check_header(path: Path) -> None:
    """Refuse a header beyond 1 MiB before anything parses it."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise ArtifactError(f"{path.name} cannot be read: {error.strerror}") from None
    if len(start) < 8 or struct.unpack("<Q", start)[0] > HEADER_LIMIT:
        raise ArtifactError(f"{path.name} is not an artifact: its header is missing or beyond {HEADER_LIMIT} bytes")


def schema_of(path: Path) -> str | None:
    """Which kind of artifact a file says it is; raises ArtifactError for a file that is none."""
    check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            return metadata.get("schema")
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{path.name} is not a safetensors file: {error}") from None


def check_metadata(path: Path, metadata: dict[str, str], fingerprint: str | None) -> None:
    """Refuse an unknown schema, missing entries, a bad name, or another model."""
    if metadata.get("schema") != SCHEMA:
        raise ArtifactError(f"{path.name} has schema {metadata.get('schema')!r}; this version reads {SCHEMA}")
    missing = [name for name in REQUIRED if name not in metadata]
    if missing:
        raise ArtifactError(f"{path.name} lacks {', '.join(missing)}")
    check_name(metadata["task"])
    if fingerprint is not None and metadata["model"] != fingerprint:
        raise ArtifactError(
            f"{path.name} was made for model {metadata['model'][:12]}, this one is {fingerprint[:12]}: build it again"
        )


def check_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Refuse wrong types, shapes that do not belong together, and values that are not finite."""
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


def check_name(name: str) -> None:
    """A task's name is a path component, a metric label and part of a URL; a composition's joins two by `+`."""
    parts = name.split("+")
    legal = all(part and all(c.isascii() and (c.isalnum() or c in "_-") for c in part) for part in parts)
    if len(name) > NAME_LIMIT or not legal:
        raise ArtifactError(
            f"task name {name[:80]!r} must be 1 to {NAME_LIMIT} letters, digits, '_' or '-'; '+' joins two names"
        )


def file_hash(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def answer_json(answer: AnswerSettings) -> str:
    """Answer settings as stored; decoding is of the answer alone."""
    return json.dumps({"scope": "answer", **asdict(answer)}, sort_keys=True)


def parse_answer(path: Path, text: str) -> AnswerSettings:
    """The reverse of `answer_json`; what a file from before a setting does not say has its default."""
    try:
        data = json.loads(text)
        known = {field.name: data[field.name] for field in fields(AnswerSettings) if field.name in data}
        return AnswerSettings(**{name: data[name] for name in FIRST_SETTINGS} | known)
    except (json.JSONDecodeError, KeyError, TypeError, EngineError) as error:
        raise ArtifactError(f"{path.name}: answer settings are not understood: {error}") from None


def _masked(value: Tensor, mask: Tensor) -> Tensor:
    return (value * mask[..., None]).half().contiguous()
