"""Task residuals: base, logits, loss, gradient and the residual itself after the public trainer's own steps."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from artifacts.taskres.base import class_base
from artifacts.taskres.learner import Learner, Settings
from artifacts.taskres.public_checkpoint import read_projection, read_residual
from artifacts.taskres.schedule import learning_rate
from parity.checks import Arrays, Checks
from parity.session import read_arrays

OWN_PROMPT = 7
"""Which of the eight prompts is the data set's own."""
BULK = 99.9
"""Percentile of a residual's deviations that must be tiny: its largest come where Adam divides by next to nothing."""


def residual_cases(directory: Path) -> list[str]:
    """Cases of this format in a folder; none where it is of another."""
    if not any(directory.glob("features_d*.npz")):
        return []
    return sorted(path.stem for path in directory.glob("case_*.npz"))


def check_residual_case(directory: Path, name: str) -> Checks:
    """Everything that one case holds, its checkpoints included."""
    arrays = read_arrays(directory / f"{name}.npz")
    meta, checks = json.loads(str(arrays["meta"])), Checks()
    features = read_arrays(directory / f"features_{meta['features'].removeprefix('features_')}.npz")
    _check_base(directory, arrays, features, meta, checks)
    learner = Learner(_tensor(arrays["base_text_features"]), float(arrays["logit_scale"]), _settings(arrays))
    _check_start(learner, arrays, features, checks)
    _check_steps(learner, arrays, features, checks)
    _check_checkpoints(directory, name.removeprefix("case_"), arrays, checks)
    return checks


def _settings(arrays: Arrays) -> Settings:
    return Settings(
        alpha=float(arrays["alpha"]),
        learning_rate=float(arrays["base_lr"]),
        epochs=int(arrays["max_epoch"]),
        weight_decay=float(arrays["weight_decay"]),
    )


def _check_base(directory: Path, arrays: Arrays, features: Arrays, meta: dict[str, Any], checks: Checks) -> None:
    hidden, projection = _tensor(features["text_hidden"]), _tensor(features["proj_pretrained"])
    kind, text = "class_base", meta["text"]
    if text.startswith("enhanced"):
        path = directory / "strong_base" / f"d{projection.shape[1]}" / "model.pth.tar"
        projection = read_projection(path) if path.is_file() else _tensor(features["proj_enhanced"])
        checks.close("enhanced projection", "equal", projection, features["proj_enhanced"])
    if not text.startswith("ensemble"):
        hidden = hidden[:, OWN_PROMPT : OWN_PROMPT + 1]
    if meta["text_precision"] in ("fp16", "float16"):
        hidden, projection, kind = hidden.half(), projection.half(), "class_base_half"
    checks.close("base", kind, class_base(hidden, projection), arrays["base_text_features"])


def _check_start(learner: Learner, arrays: Arrays, features: Arrays, checks: Checks) -> None:
    for part in ("train", "test"):
        given = learner.logits(_tensor(features[f"image_{part}"])).detach()
        checks.close("logits before any step", "residual_logits", given, arrays[f"logits_{part}_init"])
    checks.relative("accuracy", "equal", _accuracy(learner, features), float(arrays["acc_test_init"]))
    rows = torch.arange(len(features["image_train"]))
    for batch, key in ((rows, "grad_full_init"), (_tensor(arrays["batch_index"])[0].long(), "grad_step1")):
        loss = _loss(learner, features, batch)
        (gradient,) = torch.autograd.grad(loss, learner.residual)
        checks.close("gradient", "residual_gradient", gradient, arrays[key])
        if key == "grad_full_init":
            checks.close("loss", "loss", loss.item(), arrays["loss_full_init"])


def _check_steps(learner: Learner, arrays: Arrays, features: Arrays, checks: Checks) -> None:
    images, labels = _tensor(features["image_train"]), _tensor(features["label_train"])
    an_epoch, epochs = int(arrays["steps_per_epoch"]), int(arrays["max_epoch"])
    snapshots = {int(step): row for row, step in enumerate(arrays["snap_steps"])}
    for number, batch in enumerate(_tensor(arrays["batch_index"]).long()):
        rate = learning_rate(number // an_epoch, epochs, float(arrays["base_lr"]))
        checks.relative("learning rate", "learning_rate", rate, float(arrays["lr_per_step"][number]))
        step = learner.step(images[batch], labels[batch], rate)
        checks.close("loss of a step", "loss", step.loss, arrays["loss_per_step"][number])
        if number + 1 in snapshots:
            _check_snapshot(learner, snapshots[number + 1], arrays, features, checks)


def _check_snapshot(learner: Learner, row: int, arrays: Arrays, features: Arrays, checks: Checks) -> None:
    residual = learner.residual.detach()
    gap = np.abs(residual.numpy() - arrays["residual_snap"][row])
    checks.add("residual, largest", "residual", float(gap.max()))
    checks.add("residual, 99.9th percentile", "residual_bulk", float(np.percentile(gap, BULK)))
    given = learner.logits(_tensor(features["image_test"])).detach()
    checks.close("logits after steps", "residual_logits", given, arrays["logits_test_snap"][row])
    loss = _loss(learner, features, torch.arange(len(features["image_train"])))
    checks.close("loss", "loss", loss.item(), arrays["loss_full_snap"][row])
    checks.relative("accuracy", "equal", _accuracy(learner, features), float(arrays["acc_test_snap"][row]))


def _check_checkpoints(directory: Path, case: str, arrays: Arrays, checks: Checks) -> None:
    """Those of PyTorch 2 hold the case's own numbers bit for bit, those of 1.13 were trained again."""
    for folder, kind in (("checkpoint", "equal"), ("checkpoint_torch113", "stored")):
        for path in sorted((directory / folder / case).glob("prompt_learner/model.pth.tar-*")):
            held = read_residual(path)
            checks.close(f"{folder}, base", "equal", held.base, arrays["base_text_features"])
            checks.close(f"{folder}, residual", kind, held.residual, arrays["residual_snap"][-1])


def _loss(learner: Learner, features: Arrays, rows: Tensor) -> Tensor:
    images, labels = _tensor(features["image_train"]), _tensor(features["label_train"])
    return cross_entropy(learner.logits(images[rows]), labels[rows])


def _accuracy(learner: Learner, features: Arrays) -> float:
    """Top-1 on the test images, %."""
    right = learner.logits(_tensor(features["image_test"])).argmax(1) == _tensor(features["label_test"])
    return 100 * right.double().mean().item()


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(array)
