"""Case 6, search: surrogate losses, their gradients and Adam's steps on given samples; and real runs."""

import numpy as np
import torch
from torch import Tensor

from artifacts.evaluation.metrics import mse, published_iou
from artifacts.search.reinforce import reinforce_loss
from engine.geometry import Quadrant
from parity.checks import Arrays, Checks
from parity.session import Session

RATE = 0.1
TASKS = 5
CLEAR_GRADIENT = 1e-6
"""Below it Adam's first step divides rounding by rounding."""


def check_reinforce(session: Session, case: str) -> Checks:
    """Groups `mse`, `iou`, `multi` and, where the file has them, `real_mse` and `real_iou`."""
    arrays, checks = session.arrays(case), Checks()
    for group in sorted({key.split("/")[0] for key in arrays}):
        part = {key.removeprefix(f"{group}/"): value for key, value in arrays.items() if key.startswith(f"{group}/")}
        if "canvases" in part:
            _check_real(session, group, part, checks)
        _check_steps(group, part, checks)
    return checks


def _check_steps(group: str, part: Arrays, checks: Checks) -> None:
    logits = torch.from_numpy(part["logits"].copy()).requires_grad_(True)
    samples, losses = torch.from_numpy(part["samples"]).float(), torch.from_numpy(part["losses"])
    optimizer = torch.optim.Adam([logits], lr=RATE)
    for step, wanted in enumerate(part["loss"]):
        optimizer.zero_grad()
        loss = reinforce_loss(logits, samples, losses, float(part["reg"]), _tasks(group, len(losses)))
        loss.backward()
        optimizer.step()
        assert logits.grad is not None
        gradient, reference = logits.grad.numpy(), part["grad"][step]
        checks.close("surrogate loss", "surrogate", float(loss.detach()), wanted)
        checks.close("average", "surrogate", float(losses.mean()), part["average"][step])
        checks.close("gradient", "surrogate_gradient", gradient, reference)
        checks.close("zero gradients", "equal", gradient == 0, reference == 0)
        clear = (np.abs(reference) > CLEAR_GRADIENT) | (reference == 0)
        checks.close("after Adam", "adam", logits.detach().numpy()[clear], part["logits_after"][step][clear])


def _tasks(group: str, count: int) -> Tensor | None:
    return torch.arange(count) % TASKS if group == "multi" else None


def _check_real(session: Session, group: str, part: Arrays, checks: Checks) -> None:
    """The losses of real runs: the decoded answer cell against the canvas's own."""
    rows, columns = session.model.geometry.cell_box(Quadrant.ANSWER)
    for index, sample in enumerate(part["samples"]):
        name = f"c{part['canvases'][index % len(part['canvases'])]}"
        answer = session.inject("zero_shot", 1, sample, name).image[None, rows, columns]
        truth = session.original(name)[None, rows, columns]
        if group.endswith("mse"):
            checks.relative("mse of real runs", "mse", mse(answer, truth)[0], part["losses"][index])
        else:
            checks.close("iou of real runs", "iou", -published_iou(answer, truth)[0], part["losses"][index])
