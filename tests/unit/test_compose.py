"""Composition of two vectors: the union of their sites, means where both write, and its artifact."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from artifacts.compose import compose
from artifacts.errors import ArtifactError
from artifacts.store.artifact import load_artifact
from artifacts.store.file import check_name
from artifacts.store.folder import Store
from cli.main import main
from tests.support import make_artifact


def test_the_arithmetic(tiny_store: Path) -> None:
    store = Store(tiny_store)
    first, second = store.read("segmentation"), store.read("inpaint")
    vector, _ = compose(first, second)
    a, b = first.vector, second.vector
    only_a, only_b = a.encoder_mask & ~b.encoder_mask, b.encoder_mask & ~a.encoder_mask
    both = a.encoder_mask & b.encoder_mask
    assert torch.equal(vector.encoder_mask, a.encoder_mask | b.encoder_mask)
    assert torch.equal(vector.encoder_value[only_a], a.encoder_value[only_a])
    assert torch.equal(vector.encoder_value[only_b], b.encoder_value[only_b])
    torch.testing.assert_close(vector.encoder_value[both], (a.encoder_value[both] + b.encoder_value[both]) / 2)
    assert torch.equal(vector.decoder_mask, a.decoder_mask | b.decoder_mask)
    assert a.answer.confidence is not None
    assert vector.answer == replace(a.answer, confidence=None)  # it was measured on answers of another vector
    same, _ = compose(first, first)
    assert torch.equal(same.decoder_value, a.decoder_value)


def test_the_command_writes_an_artifact_that_a_store_takes(tiny_store: Path, tmp_path: Path) -> None:
    out = tmp_path / "both.safetensors"
    assert main(["compose", "segmentation", "inpaint", "--store", str(tiny_store), "-o", str(out)]) == 0
    artifact = load_artifact(out)
    assert artifact.task == "segmentation+inpaint"
    assert artifact.metadata["method"] == "compose"
    assert len(artifact.metadata["parts"].split()) == 2
    store = Store(tmp_path / "store")
    store.publish(out)
    assert store.names() == ["segmentation+inpaint"]


def test_vectors_of_two_models_are_refused(tiny_store: Path, tmp_path: Path) -> None:
    make_artifact(tmp_path / "other.safetensors", "identity", "0" * 64, 1)
    with pytest.raises(ArtifactError, match="different models"):
        compose(Store(tiny_store).read("inpaint"), load_artifact(tmp_path / "other.safetensors"))


@pytest.mark.parametrize("name", ["", "+", "a+", "+a", "a++b", "a b", "a/b", "x" * 65])
def test_names_that_are_none(name: str) -> None:
    check_name("a+b")
    with pytest.raises(ArtifactError, match="task name"):
        check_name(name)
