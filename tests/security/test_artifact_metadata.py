"""Artifacts whose metadata or masks are of the wrong type or range: refused at install, on a real server."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save

from artifacts.errors import ArtifactError
from artifacts.store.artifact import load_artifact
from artifacts.store.file import canonical
from tests.support import ServerProcess, make_artifact, photo

KEY = {"Authorization": "Bearer k"}
ANSWER = {"temperature": 0.5, "refine": "guided", "radius": 16, "eps": 1e-3}
BAD_ANSWERS: dict[str, Any] = {
    "radius 1.5": {"radius": 1.5},
    "radius true": {"radius": True},
    "radius in a text": {"radius": "16"},
    "radius 0": {"radius": 0},
    "a radius beyond all numbers": {"radius": 10**400},
    "temperature true": {"temperature": True},
    "temperature in a list": {"temperature": [0.5]},
    "temperature null": {"temperature": None},
    "eps of one": {"eps": 1},
    "smooth 1.5": {"smooth": 1.5},
    "chroma true": {"chroma": True},
    "threshold true": {"threshold": True},
    "threshold of another word": {"threshold": "mean"},
    "refine 1": {"refine": 1},
    "another scope": {"scope": "canvas"},
    "a scope in a list": {"scope": ["answer"]},
    "scope null": {"scope": None},
}
BAD_TEXTS: dict[str, dict[str, str]] = {
    **{kind: {"answer": json.dumps(ANSWER | change)} for kind, change in BAD_ANSWERS.items()},
    "temperature NaN": {"answer": json.dumps(ANSWER | {"temperature": float("nan")})},
    "eps beyond all numbers": {"answer": json.dumps(ANSWER).replace("0.001", "1e999")},
    "an answer that is a list": {"answer": "[]"},
    "a metric with half a character": {"metric": '{"name": "\\ud800"}'},
    "a metric of 300 brackets": {"metric": "[" * 300 + "]" * 300},
    "a metric of 100,000 brackets": {"metric": "[" * 100_000 + "]" * 100_000},
    "a metric that is NaN": {"metric": '{"name": "iou", "value": NaN}'},
    "a metric beyond all numbers": {"metric": '{"name": "iou", "value": 1e999}'},
    **{f"a metric {text}": {"metric": text} for text in ("[]", "true", "7", '"iou"')},
    "a metric of a value in a text": {"metric": '{"name": "iou", "value": "0.5"}'},
    "a metric of a value that is true": {"metric": '{"name": "iou", "value": true}'},
    "a metric of a value of a list": {"metric": '{"name": "iou", "value": [0.5]}'},
    "a metric of a number beyond use": {"metric": '{"name": "iou", "value": 1' + "0" * 400 + "}"},
    "a metric of no name": {"metric": '{"name": 5, "value": 0.5}'},
    "a metric whose name forges a line": {"metric": '{"name": "x\\n2026-01-01 00:00:00,000 INFO", "value": 0.5}'},
    "a metric that turns a terminal's colours": {"metric": '{"name": "iou", "split": "\\u001b[31m"}'},
    "a metric that is none": {"metric": "iou 0.5"},
    "a line that forges another": {"description": "x\n2026-01-01 00:00:00,000 INFO vtv.tasks: task y: retired"},
    "a description that clears the screen": {"description": "\x1b[2J"},
    "a name within a name": {"task": "identity/../x"},
    "another program": {"program": "two_shot"},
}


def rewritten(path: Path, change: Callable[[dict[str, torch.Tensor]], None] | None = None, **texts: str) -> bytes:
    """An artifact with other metadata or tensors, as no writer of ours would write it."""
    tensors, head = load_file(path), path.read_bytes()
    about = json.loads(head[8 : 8 + int.from_bytes(head[:8], "little")])["__metadata__"]
    if change is not None:
        change(tensors)
    return canonical(save(tensors, about | texts))


def with_mask_bytes(content: bytes, value: int) -> bytes:
    """The same file, where a mask's true bytes are others."""
    size = int.from_bytes(content[:8], "little")
    start, end = json.loads(content[8 : 8 + size])["encoder.mask"]["data_offsets"]
    at = 8 + size
    mask = content[at + start : at + end].replace(b"\x01", bytes([value]))
    return content[: at + start] + mask + content[at + end :]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, tiny_model: tuple[Path, str]) -> Path:
    path = tmp_path_factory.mktemp("artifacts") / "identity.safetensors"
    make_artifact(path, "identity", tiny_model[1], seed=50)
    return path


@pytest.fixture(scope="module")
def guarded(
    start_server: Callable[..., ServerProcess], tiny_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> ServerProcess:
    store = tmp_path_factory.mktemp("guarded") / "store"
    shutil.copytree(tiny_store, store)
    return start_server(store=str(store), admin_key="k")


def check_refused(server: ServerProcess, content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(ArtifactError):
        load_artifact(path)
    before, lines = server.client.get("/tasks").json(), len(server.lines)
    reply = server.client.put("/tasks/identity", content=content, headers=KEY)
    assert (reply.status_code, reply.json()["code"]) == (400, "invalid_request")
    assert server.client.get("/tasks").json() == before
    assert not any(line.startswith("2026-01-01") or "\x1b" in line for line in server.lines[lines:])


@pytest.mark.parametrize("kind", BAD_TEXTS)
def test_metadata_of_another_type_or_range(guarded: ServerProcess, good: Path, tmp_path: Path, kind: str) -> None:
    check_refused(guarded, rewritten(good, **BAD_TEXTS[kind]), tmp_path / "bad")


@pytest.mark.parametrize("value", [2, 255])
def test_masks_of_other_bytes_than_0_and_1(guarded: ServerProcess, good: Path, tmp_path: Path, value: int) -> None:
    check_refused(guarded, with_mask_bytes(good.read_bytes(), value), tmp_path / "bad")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 60_000.0])
def test_values_that_no_head_gives(guarded: ServerProcess, good: Path, tmp_path: Path, value: float) -> None:
    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        tensors["decoder.value"][0, 0, 0, 0] = value

    check_refused(guarded, rewritten(good, spoil), tmp_path / "bad")


def test_a_tensors_name_forges_no_line(guarded: ServerProcess, good: Path, tmp_path: Path) -> None:
    def rename(tensors: dict[str, torch.Tensor]) -> None:
        tensors["x\n2026-01-01 00:00:00,000 INFO vtv.tasks: task y: retired"] = tensors.pop("encoder.mask")

    check_refused(guarded, rewritten(good, rename), tmp_path / "bad")


def test_a_good_one_is_installed_after_all_of_this(guarded: ServerProcess, good: Path) -> None:
    assert guarded.client.put("/tasks/identity", content=rewritten(good), headers=KEY).status_code == 200
    assert guarded.infer("identity", photo()).status_code == 200
