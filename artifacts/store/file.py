"""What every kind of artifact shares: a safetensors file with text metadata, written whole or not at all.

Its identity is the SHA-256 of the file.
"""

import hashlib
import json
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from artifacts.errors import ArtifactError
from artifacts.store.regular import open_regular
from artifacts.store.strict_json import is_line, strict_json, texts_in

HEADER_LIMIT = 1 << 20
FILE_LIMIT = 1 << 30
"""Bytes of an artifact; ViT-L's task vectors have four million."""
NAME_LIMIT = 64
_SHOWN = 200
_LARGEST_METRIC = 1e15


def write_artifact(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str], required: Sequence[str]) -> str:
    """Write a file with at least the `required` metadata and return its hash; raises ArtifactError."""
    missing = [name for name in required if name not in metadata]
    if missing:
        raise ArtifactError(f"metadata lacks {', '.join(missing)}")
    check_name(metadata["task"])
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(canonical(save(tensors, metadata=metadata)))
    partial.replace(path)
    return file_hash(path)


def read_artifact(
    path: Path, names: Sequence[str], check: Callable[[dict[str, str]], None]
) -> tuple[dict[str, str], dict[str, Tensor]]:
    """A file's metadata, which `check` may refuse, and its tensors, those of `names`; raises ArtifactError."""
    check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            check(metadata)
            if sorted(file.keys()) != sorted(names):
                raise ArtifactError(f"{path.name} holds {_shown(file.keys())}, not {', '.join(names)}")
            # Copies: what is read maps the file, which somebody may cut short while the task is in use.
            return metadata, {name: _copied(path, name, file.get_tensor(name)) for name in names}
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{path.name} is not a safetensors file: {error}") from None


def _copied(path: Path, name: str, tensor: Tensor) -> Tensor:
    """Raises ArtifactError for truth values of other bytes than 0 and 1, which are true here and false there."""
    if tensor.dtype == torch.bool and tensor.numel() and int(tensor.view(torch.uint8).max()) > 1:
        raise ArtifactError(f"{path.name}: {name} holds other bytes than 0 and 1")
    return tensor.clone()


def check_entries(path: Path, metadata: dict[str, str], required: Sequence[str]) -> None:
    """Refuse missing entries, a bad name, a metric that cannot be told on, and texts that would break a line."""
    missing = [name for name in required if name not in metadata]
    if missing:
        raise ArtifactError(f"{path.name} lacks {', '.join(missing)}")
    check_name(metadata["task"])
    for name, text in metadata.items():
        if not (is_line(text) and is_line(name)):
            raise ArtifactError(f"{path.name}: {_shown([name])} is no line of text")
    try:
        _check_metric(strict_json(metadata["metric"] or "null"))
    except ValueError as error:
        raise ArtifactError(f"{path.name}: its metric is not understood: {error}") from None


def _check_metric(metric: Any) -> None:
    """Raises ValueError; what was not measured is null."""
    if metric is None:
        return
    if not isinstance(metric, dict):
        raise ValueError("it is no object")
    if not all(map(is_line, texts_in(metric))) or not isinstance(metric.get("name"), str | None):
        raise ValueError("its name, or another of its texts, is no line of text")
    value = metric.get("value")
    if type(value) not in (int, float, type(None)) or abs(value or 0) > _LARGEST_METRIC:
        raise ValueError("its value is no number that can be told")


def _shown(names: Iterable[str]) -> str:
    """Names that a file gives, in a message: they may hold anything."""
    return ascii(", ".join(sorted(names)))[1:-1][:_SHOWN]


def canonical(content: bytes) -> bytes:
    """The same file with its metadata sorted: the library writes it in an order that changes from run to run."""
    return joined(*taken_apart(content))


def taken_apart(content: bytes) -> tuple[dict[str, Any], bytes]:
    """A file's header, and its tensors' bytes."""
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def joined(header: dict[str, Any], tensors: bytes) -> bytes:
    """The canonical file of both."""
    header = header | {"__metadata__": dict(sorted(header["__metadata__"].items()))}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + tensors


def check_header(path: Path) -> None:
    """Refuse a header beyond 1 MiB before anything parses it."""
    try:
        with open_regular(path, FILE_LIMIT) as file:
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


def check_name(name: str) -> None:
    """A task's name is a path component, a metric label and part of a URL; a composition's joins two by `+`."""
    if not is_name(name):
        raise ArtifactError(
            f"task name {name[:80]!r} must be 1 to {NAME_LIMIT} letters, digits, '_' or '-'; '+' joins two names"
        )


def is_name(name: str) -> bool:
    """As `check_name`."""
    parts = name.split("+")
    legal = all(part and all(c.isascii() and (c.isalnum() or c in "_-") for c in part) for part in parts)
    return len(name) <= NAME_LIMIT and legal


def file_hash(path: Path) -> str:
    """SHA-256 of a regular file, hex; raises OSError."""
    with open_regular(path, FILE_LIMIT) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
