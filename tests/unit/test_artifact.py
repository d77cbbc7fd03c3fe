"""The artifact file and the store: round trips, and everything that must be refused by name."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from artifacts.errors import ArtifactError
from artifacts.store.artifact import SCHEMA, load_artifact, save_artifact
from artifacts.store.folder import Store
from engine.task_vector import AnswerSettings, TaskVector

METADATA = {
    "task": "segmentation",
    "granularity": "group",
    "method": "reinforce",
    "seed": "0",
    "prompts": "100",
    "dataset": "demo",
    "metric": json.dumps({"name": "iou", "value": 0.5}),
    "created": "2026-01-01T00:00:00+00:00",
    "code": "unknown",
}


def vector(seed: int = 0) -> TaskVector:
    draw = torch.Generator().manual_seed(seed)
    return TaskVector(
        torch.randn(2, 50, 2, 8, generator=draw),
        torch.rand(2, 50, 2, generator=draw) < 0.3,
        torch.randn(1, 99, 2, 4, generator=draw),
        torch.rand(1, 99, 2, generator=draw) < 0.3,
        "zero_shot",
        "f" * 64,
        AnswerSettings(0.7, "guided", 24, 1e-2, chroma=0.8, detail=0.5, threshold="otsu"),
    )


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    digest = save_artifact(path, vector(), METADATA)
    loaded = load_artifact(path, "f" * 64)
    assert loaded.hash == digest
    assert loaded.task == "segmentation"
    assert loaded.vector.answer == vector().answer
    assert torch.equal(loaded.vector.encoder_mask, vector().encoder_mask)
    kept = vector().encoder_value * vector().encoder_mask[..., None]
    torch.testing.assert_close(loaded.vector.encoder_value, kept, atol=2e-3, rtol=1e-3)


def test_a_file_from_before_a_setting_has_its_default(tmp_path: Path) -> None:
    _write(tmp_path / "old", _tensors(), _metadata())
    assert load_artifact(tmp_path / "old").vector.answer == AnswerSettings(0.5, "none", 16, 1e-3)


def test_unwritten_sites_hold_zero(tmp_path: Path) -> None:
    save_artifact(tmp_path / "v.safetensors", vector(), METADATA)
    loaded = load_artifact(tmp_path / "v.safetensors").vector
    assert not loaded.decoder_value[~loaded.decoder_mask].any()


def test_identity_is_the_content(tmp_path: Path) -> None:
    first = save_artifact(tmp_path / "a", vector(), METADATA)
    assert save_artifact(tmp_path / "b", vector(), METADATA) == first
    assert save_artifact(tmp_path / "c", vector(1), METADATA) != first


def _tensors() -> dict[str, torch.Tensor]:
    v = vector()
    return {
        "encoder.value": v.encoder_value,
        "encoder.mask": v.encoder_mask,
        "decoder.value": v.decoder_value,
        "decoder.mask": v.decoder_mask,
    }


def _metadata(**changes: str) -> dict[str, str]:
    base = dict(METADATA, schema=SCHEMA, program="zero_shot", model="f" * 64)
    base["answer"] = json.dumps({"temperature": 0.5, "refine": "none", "radius": 16, "eps": 1e-3})
    return {**base, **changes}


def _write(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    save_file({name: t.contiguous() for name, t in tensors.items()}, path, metadata)


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (lambda p: p.write_bytes(b"") and None, "header"),
    "not safetensors": (lambda p: p.write_bytes(b"\x10" + b"\0" * 30) and None, "not a safetensors file"),
    "huge header": (lambda p: p.write_bytes(struct.pack("<Q", 1 << 40) + b"{}") and None, "header"),
    "other schema": (lambda p: _write(p, _tensors(), _metadata(schema="vtv-9")), "schema 'vtv-9'"),
    "other model": (lambda p: _write(p, _tensors(), _metadata(model="0" * 64)), "made for model 000000000000"),
    "path as name": (lambda p: _write(p, _tensors(), _metadata(task="../x")), "task name"),
    "no metric": (
        lambda p: _write(p, _tensors(), {k: v for k, v in _metadata().items() if k != "metric"}),
        "lacks metric",
    ),
    "bad answer": (lambda p: _write(p, _tensors(), _metadata(answer='{"temperature": -1}')), "answer settings"),
    "bad threshold": (
        lambda p: _write(
            p, _tensors(), _metadata(answer=json.dumps({**json.loads(_metadata()["answer"]), "threshold": "best"}))
        ),
        "answer settings",
    ),
    "not finite": (
        lambda p: _write(p, {**_tensors(), "encoder.value": torch.full((2, 50, 2, 8), torch.nan)}, _metadata()),
        "not all finite",
    ),
    "wrong shape": (
        lambda p: _write(p, {**_tensors(), "decoder.mask": torch.zeros(1, 98, 2, dtype=torch.bool)}, _metadata()),
        "does not fit",
    ),
    "float mask": (lambda p: _write(p, {**_tensors(), "encoder.mask": torch.zeros(2, 50, 2)}, _metadata()), "boolean"),
    "extra tensor": (lambda p: _write(p, {**_tensors(), "code": torch.zeros(1)}, _metadata()), "holds"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_by_name(tmp_path: Path, name: str) -> None:
    make, message = HOSTILE[name]
    path = tmp_path / "hostile.safetensors"
    make(path)
    with pytest.raises(ArtifactError, match=message) as caught:
        load_artifact(path, "f" * 64)
    assert "\n" not in str(caught.value)
    store = Store(tmp_path / "store")
    with pytest.raises(ArtifactError):
        store.publish(path, "f" * 64)
    assert store.names() == []


def test_publish_replaces_a_task_and_keeps_old_blobs(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    save_artifact(tmp_path / "a", vector(0), METADATA)
    save_artifact(tmp_path / "b", vector(1), METADATA)
    first, second = store.publish(tmp_path / "a"), store.publish(tmp_path / "b")
    assert store.names() == ["segmentation"]
    assert store.read("segmentation").hash == second.hash
    assert store.path_of(first.hash).is_file()


def test_an_altered_blob_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    save_artifact(tmp_path / "a", vector(0), METADATA)
    save_artifact(tmp_path / "b", vector(1), METADATA)
    digest = store.publish(tmp_path / "a").hash
    store.path_of(digest).write_bytes((tmp_path / "b").read_bytes())
    with pytest.raises(ArtifactError, match="does not have its hash"):
        store.read("segmentation")


def test_an_unknown_task_lists_the_known(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    save_artifact(tmp_path / "a", vector(0), METADATA)
    store.publish(tmp_path / "a")
    with pytest.raises(ArtifactError, match="it holds: segmentation"):
        store.read("depth")


def test_a_retired_task_is_gone_and_its_blob_stays(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    save_artifact(tmp_path / "a", vector(0), METADATA)
    digest = store.publish(tmp_path / "a").hash
    store.retire("segmentation")
    assert store.names() == []
    assert store.path_of(digest).is_file()
    for name in ("segmentation", "../blobs"):
        with pytest.raises(ArtifactError):
            store.retire(name)


def test_a_loaded_vector_outlives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    save_artifact(path, vector(0), METADATA)
    loaded = load_artifact(path).vector
    before = loaded.encoder_mask.clone()
    path.write_bytes(b"")
    assert torch.equal(loaded.encoder_mask, before)
