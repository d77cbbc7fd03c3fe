"""Our residual, step by step, against the public trainer's."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from artifacts.taskres import learner as learner_module
from artifacts.taskres.learner import Settings, drawn_epochs, learn
from cli.main import main as vtv
from parity.residual_cases import check_residual_case, residual_cases

GOLDEN = Path(__file__).parents[1] / "data" / "taskres"
CASES = residual_cases(GOLDEN)


@pytest.mark.parametrize("case", CASES)
def test_case_is_within_tolerance(case: str) -> None:
    checks = check_residual_case(GOLDEN, case).all
    assert len(checks) >= 10
    assert [check for check in checks if not check.ok] == []


def test_both_checkpoints_are_read() -> None:
    names = {check.what for check in check_residual_case(GOLDEN, "case_d64_reg_a10_b64").all}
    assert {"checkpoint, residual", "checkpoint_torch113, residual"} <= names


def test_a_decay_left_out_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    class WithoutDecay(learner_module.Learner):
        def __init__(self, base: torch.Tensor, scale: float, settings: Settings) -> None:
            super().__init__(base, scale, replace(settings, weight_decay=0.0))

    monkeypatch.setattr("parity.residual_cases.Learner", WithoutDecay)
    failed = {check.what for check in check_residual_case(GOLDEN, "case_d64_reg_a05").all if not check.ok}
    assert "residual, 99.9th percentile" in failed


def test_the_command_names_a_wrong_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(GOLDEN / "features_d64.npz", tmp_path)
    with np.load(GOLDEN / "case_d64_reg_a10_b64.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    np.savez(tmp_path / "case_other.npz", **arrays | {"grad_step1": arrays["grad_step1"] * 1.01})
    assert vtv(["parity", str(tmp_path), "--json"]) == 1
    (case,) = json.loads(capsys.readouterr().out)["cases"]
    assert [check["what"] for check in case["checks"] if not check["ok"]] == ["gradient"]


def test_learning_again_gives_the_same_residual() -> None:
    with np.load(GOLDEN / "features_d64.npz") as archive:
        features, labels = torch.from_numpy(archive["image_train"]), torch.from_numpy(archive["label_train"])
    with np.load(GOLDEN / "case_d64_reg_a10_b64.npz") as archive:
        base, order = torch.from_numpy(archive["base_text_features"]), torch.from_numpy(archive["batch_index"]).long()
        golden, epochs = torch.from_numpy(archive["residual_snap"][-1]), int(archive["max_epoch"])
    settings = Settings(alpha=1.0, epochs=epochs, batch=64)
    given = learn(features, labels, base, 100.0, settings, [list(part) for part in order.view(epochs, -1, 64)])
    torch.testing.assert_close(given.residual, golden, rtol=0, atol=5e-4)
    first, again = (learn(features, labels, base, 100.0, settings) for _ in range(2))
    assert torch.equal(first.residual, again.residual)
    assert first.steps[-1].loss < first.steps[0].loss


def test_the_public_rule_of_incomplete_batches() -> None:
    """Dropped after full ones; where all pictures do not fill one batch, that one is taken."""
    shapes = [[len(batch) for batch in epoch] for epoch in drawn_epochs(150, Settings(epochs=2, batch=64))]
    assert shapes == [[64, 64], [64, 64]]
    assert [[len(b) for b in epoch] for epoch in drawn_epochs(10, Settings(epochs=1))] == [[10]]
