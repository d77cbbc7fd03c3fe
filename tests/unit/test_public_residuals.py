"""Checkpoints of the public trainer: what they hold, and that nothing in them runs."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from artifacts.errors import OfflineError
from artifacts.taskres.public_checkpoint import BASE, RESIDUAL, read_projection, read_residual
from artifacts.taskres.torch_file import read_state

GOLDEN = Path(__file__).parents[1] / "data" / "taskres"


@pytest.mark.parametrize("folder", ["checkpoint", "checkpoint_torch113"])
def test_a_file_with_a_live_scheduler(folder: str) -> None:
    path = GOLDEN / folder / "d64_reg_a10_b64/prompt_learner/model.pth.tar-10"
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    held = read_residual(path)
    with np.load(GOLDEN / "case_d64_reg_a10_b64.npz") as golden:
        np.testing.assert_array_equal(held.base.numpy(), golden["base_text_features"])
        np.testing.assert_allclose(held.residual.numpy(), golden["residual_snap"][-1], rtol=0, atol=1e-6)


def test_a_projection_is_stored_turned(tmp_path: Path) -> None:
    layer = torch.nn.Linear(3, 5, bias=False)
    torch.save({"state_dict": {"weight": layer.weight}}, tmp_path / "model.pth.tar")
    assert torch.equal(read_projection(tmp_path / "model.pth.tar"), layer.weight.T)
    torch.save({"state_dict": {"weight": layer.weight.detach().half()}}, tmp_path / "half.pth.tar")
    assert torch.equal(read_projection(tmp_path / "half.pth.tar"), layer.weight.T.half().float())


class Call:
    """Pickles to a call of `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path) -> None:
    made, path = tmp_path / "made", tmp_path / "hostile.pth.tar"
    for call in (Call(os.mkdir, str(made)), Call(eval, "1"), Call(getattr, "text", "upper"), Call(torch.load, "x")):
        torch.save({"state_dict": {"weight": torch.ones(2, 2)}, "scheduler": call}, path)
        with pytest.raises(OfflineError, match="is refused: it asks for"):
            read_state(path)
    assert not made.exists()


def archive_with(path: Path, content: object, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("x/data.pkl", pickle.dumps(content, protocol=2))
    return path


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    good = GOLDEN / "checkpoint/d64_reg_a10_b64/prompt_learner/model.pth.tar-10"
    short = tmp_path / "short"
    short.write_bytes(good.read_bytes()[:9000])
    with pytest.raises(OfflineError, match="its archive is not whole"):
        read_state(short)
    with pytest.raises(OfflineError, match="cannot be read: No such file"):
        read_state(tmp_path / "none")
    with pytest.raises(OfflineError, match=r"data\.pkl is compressed"):
        read_state(archive_with(tmp_path / "packed", {"state_dict": {}}, zipfile.ZIP_DEFLATED))
    with pytest.raises(OfflineError, match="holds no state_dict of tensors"):
        read_state(archive_with(tmp_path / "other", {"state_dict": {"weight": 1}}))
    with zipfile.ZipFile(tmp_path / "empty", "w"):
        pass
    with pytest.raises(OfflineError, match=r"without one data\.pkl"):
        read_state(tmp_path / "empty")


def test_a_tensor_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.pth.tar"
    torch.save({"state_dict": {"weight": torch.ones(2, 2)}}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content[:8] if name.endswith("/data/0") else content)
    with pytest.raises(OfflineError, match="a storage of 4 numbers in 8 bytes"):
        read_state(path)


HOSTILE = {
    "no residual": ({BASE: torch.ones(2, 3)}, "lacks text_feature_residuals; it holds: base_text_features"),
    "a residual of another K": (
        {BASE: torch.ones(2, 3), RESIDUAL: torch.ones(3, 3)},
        r"\[3, 3\] does not fit base_text_features \[2, 3\]",
    ),
    "not a number": (
        {BASE: torch.ones(2, 3), RESIDUAL: torch.full((2, 3), torch.nan)},
        "text_feature_residuals is not finite",
    ),
    "zero rows": ({BASE: torch.eye(2, 3) * torch.tensor([[1], [0]]), RESIDUAL: torch.ones(2, 3)}, "row of zeros"),
    "no matrix": ({BASE: torch.ones(3), RESIDUAL: torch.ones(3)}, "is no matrix but"),
}


@pytest.mark.parametrize(("state", "message"), HOSTILE.values(), ids=HOSTILE)
def test_tensors_that_are_no_residual_are_refused(tmp_path: Path, state: dict[str, torch.Tensor], message: str) -> None:
    torch.save({"state_dict": state}, tmp_path / "model.pth.tar")
    with pytest.raises(OfflineError, match=message):
        read_residual(tmp_path / "model.pth.tar")
