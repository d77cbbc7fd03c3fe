"""Runs every case a folder holds and reports it."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch

from artifacts.errors import OfflineError
from parity.activation_case import check_activations
from parity.checks import TOLERANCES, Check, Checks
from parity.grid_case import check_grids
from parity.metric_case import check_metrics
from parity.pretrain_case import check_pretrain
from parity.prompt_cases import check_prompts
from parity.reinforce_case import check_reinforce
from parity.residual_cases import check_residual_case, residual_cases
from parity.session import Missing, Session
from parity.vqgan_case import check_vqgan
from parity.weight_case import check_weights
from parity.weights import SIZES, synthetic_model

CASES: dict[str, Callable[[Session, str], Checks]] = {
    "case1_oneshot": check_prompts,
    "case2_activations": check_activations,
    "case3_zeroshot": check_prompts,
    "case4_inject_g0": check_prompts,
    "case4_inject_g1": check_prompts,
    "case4_inject_g2": check_prompts,
    "case5_oneshot_inject_g0": check_prompts,
    "case6_metrics": check_metrics,
    "case6_reinforce": check_reinforce,
    "case7_vqgan": check_vqgan,
    "case8_pretrain": check_pretrain,
}
FURTHER = re.compile(r"(case\d_\w+?)_[a-z]")
"""More samples of a case stand in files of the same name with a letter."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one case: its checks, most strained first, or why it was skipped."""

    size: str
    case: str
    checks: list[Check] = field(default_factory=list)
    skipped: str = ""

    @property
    def ok(self) -> bool:
        """Nothing is out of tolerance."""
        return all(check.ok for check in self.checks)

    def line(self) -> str:
        """One line for a person."""
        title = f"{self.size:8}{self.case:26}"
        if self.skipped:
            return f"{title}skipped: {self.skipped}"
        worst = self.checks[0]
        verdict = "ok" if self.ok else "FAIL"
        figure = f"{worst.what} {worst.error:.2g} (tolerance {worst.tolerance:.2g})"
        return f"{title}{verdict:5}{len(self.checks):3} checks, worst: {figure}"

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        checks = [
            {"what": c.what, "kind": c.kind, "error": c.error, "tolerance": c.tolerance, "ok": c.ok}
            for c in self.checks
        ]
        about = {"size": self.size, "case": self.case, "ok": self.ok, "skipped": self.skipped or None}
        return about | {"checks": checks}


def main(directory: Path, *, sizes: Sequence[str] | None = None, as_json: bool = False) -> int:
    """Compare with the golden numbers in `directory`; 0 when all hold, 1 when not. Raises OfflineError."""
    outcomes = []
    for outcome in outcomes_of(directory, sizes):
        outcomes.append(outcome)
        if not as_json:
            print(outcome.line(), flush=True)
    failed = [outcome for outcome in outcomes if not outcome.ok]
    ran = [outcome for outcome in outcomes if not outcome.skipped]
    if as_json:
        about = {"ok": not failed, "torch": torch.__version__, "tolerances": TOLERANCES}
        print(json.dumps(about | {"cases": [outcome.to_json() for outcome in outcomes]}))
    else:
        for outcome in failed:
            _print_failures(outcome)
        skipped = len(outcomes) - len(ran)
        print(f"{len(ran) - len(failed)} of {len(ran)} cases within tolerance, {skipped} skipped")
    return 1 if failed or not ran else 0


def _print_failures(outcome: Outcome) -> None:
    for check in outcome.checks:
        if not check.ok:
            print(f"  {outcome.size} {outcome.case}: {check.what} {check.error:.3g} > {check.tolerance:.2g}")


def outcomes_of(directory: Path, sizes: Sequence[str] | None = None) -> Iterator[Outcome]:
    """Run the grids and then every case of every size found, or the cases of task residuals."""
    residuals = residual_cases(directory)
    for case in residuals:
        yield _outcome("taskres", case, lambda: check_residual_case(directory, case))  # noqa: B023 called at once
    if residuals:
        return
    found = [size for size in SIZES if (directory / size).is_dir() and (sizes is None or size in sizes)]
    if not found:
        wanted = " or ".join(sizes or SIZES)
        raise OfflineError(f"{directory} holds no golden numbers: expected a folder {wanted} in it")
    yield _outcome("any", "grids", lambda: check_grids(directory))
    for size in found:
        model = synthetic_model(SIZES[size])
        session = Session(directory, size, model)
        yield _outcome(size, "weights", lambda: check_weights(directory, size, model))  # noqa: B023 called at once
        for case in cases_in(directory / size):
            yield run_case(session, size, case)


def run_case(session: Session, size: str, case: str) -> Outcome:
    """Run one case by the name of its file."""
    further = FURTHER.fullmatch(case)
    checker = CASES[case if case in CASES or further is None else further[1]]
    return _outcome(size, case, lambda: checker(session, case))


def cases_in(folder: Path) -> list[str]:
    """Every case that ought to be there, and further samples that are; files of other names are ignored."""
    names = set(CASES)
    for path in folder.glob("case*"):
        further = FURTHER.fullmatch(path.stem)
        if further is not None and further[1] in CASES:
            names.add(path.stem)
    return sorted(names)


def _outcome(size: str, case: str, check: Callable[[], Checks]) -> Outcome:
    try:
        checks = check().all
        return Outcome(size, case, checks, "" if checks else "it holds nothing to check")
    except Missing as missing:
        return Outcome(size, case, skipped=str(missing))
    except (OSError, BadZipFile, KeyError, IndexError, ValueError) as error:
        raise OfflineError(f"{size} {case} is not in the golden format: {error!r}") from error
