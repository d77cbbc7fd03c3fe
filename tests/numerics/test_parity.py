"""Our numbers against the public code's, and the command's behaviour on other folders of the same format."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from artifacts.errors import OfflineError
from cli.main import main as vtv
from parity import main
from parity.command import CASES, cases_in, run_case
from parity.grid_case import check_grids
from parity.session import Session
from parity.weight_case import check_weights
from parity.weights import SIZES, synthetic_model

PUBLIC = Path(__file__).parents[1] / "data" / "golden" / "public"


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(PUBLIC, "tiny", synthetic_model(SIZES["tiny"]))


@pytest.mark.parametrize("case", CASES)
def test_case_is_within_tolerance(session: Session, case: str) -> None:
    outcome = run_case(session, "tiny", case)
    assert not outcome.skipped
    assert outcome.checks
    assert [check for check in outcome.checks if not check.ok] == []


def test_weights_have_the_published_checksums(session: Session) -> None:
    assert all(check.ok for check in check_weights(PUBLIC, "tiny", session.model).all)


def test_canvases_are_those_of_the_public_dataset() -> None:
    checks = check_grids(PUBLIC).all
    assert len(checks) == 9
    assert all(check.ok for check in checks)


def altered(folder: Path, case: str, **changes: np.ndarray) -> None:
    """Write a case of the public half with some arrays exchanged; `c0_tokens` stands for `c0/tokens`."""
    with np.load(PUBLIC / "tiny" / f"{case}.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    for name, value in changes.items():
        arrays[name.replace("_", "/", 1)] = value
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / f"{case}.npz", **arrays)


@pytest.mark.slow
def test_a_wrong_number_fails_and_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with np.load(PUBLIC / "tiny" / "case6_reinforce.npz") as archive:
        gradient = archive["multi/grad"]
    altered(tmp_path / "tiny", "case6_reinforce", multi_grad=gradient * 1.01)
    assert main(tmp_path) == 1
    printed = capsys.readouterr().out
    assert "FAIL" in printed
    assert "tiny case6_reinforce: gradient" in printed


def test_another_folder_of_the_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Canvases of other names, further samples, missing files and unknown ones."""
    tiny = tmp_path / "tiny"
    tiny.mkdir()
    with np.load(PUBLIC / "canvases.npz") as archive:
        np.savez(
            tmp_path / "canvases.npz", **{f"c2/{name}": archive[f"c0/{name}"] for name in ("canvas", "original_int")}
        )
    with np.load(PUBLIC / "tiny" / "case1_oneshot.npz") as archive:
        arrays = {n.replace("c0/", "c2/"): archive[n] for n in archive.files if not n.startswith("c1/")}
    np.savez(tiny / "case1_oneshot.npz", **arrays)
    shutil.copy(PUBLIC / "tiny" / "case2_activations.npz", tiny)
    shutil.copy(PUBLIC / "tiny" / "case4_inject_g1.npz", tiny / "case4_inject_g1_b.npz")
    (tiny / "case9_unheard_of.npz").write_bytes(b"?")
    assert vtv(["parity", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    ran = {case["case"] for case in report["cases"] if not case["skipped"]}
    assert ran == {"case1_oneshot", "case2_activations", "case4_inject_g1_b"}
    skipped = {case["case"]: case["skipped"] for case in report["cases"] if case["skipped"]}
    assert skipped["case8_pretrain"] == "case8_pretrain.npz is missing"
    assert set(cases_in(tiny)) == set(CASES) | {"case4_inject_g1_b"}


def test_a_folder_without_numbers_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OfflineError, match="holds no golden numbers"):
        main(tmp_path)
    assert vtv(["parity", str(tmp_path)]) == 2
    assert "holds no golden numbers" in capsys.readouterr().err


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    np.savez(tmp_path / "tiny" / "case7_vqgan.npz", nonsense=np.zeros(3))
    with pytest.raises(OfflineError, match="case7_vqgan is not in the golden format"):
        main(tmp_path)
