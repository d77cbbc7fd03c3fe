"""Cases 1, 3, 4 and 5: logits, codes, latents, blocks and images of prompts, with and without injection."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.geometry import Quadrant
from engine.model import MaeVqgan
from parity.checks import TOLERANCES, Arrays, Checks
from parity.forward import Run
from parity.injection import positions
from parity.session import Session, canvases_of


def check_prompts(session: Session, case: str) -> Checks:
    """Every canvas of one of the cases, and the static bookkeeping the file holds."""
    arrays, checks = session.arrays(case), Checks()
    _check_tokens(session.model, case, arrays, checks)
    for name in canvases_of(arrays):
        part = {key.removeprefix(f"{name}/"): value for key, value in arrays.items() if key.startswith(f"{name}/")}
        result = session.run(case, name)
        _check_logits(part, arrays, result, checks)
        _check_latent(part, result, checks)
        _check_blocks(part, result, checks)
        checks.close("nll", "nll", answer_nll(session.model, result.logits, session.codes(name)), part["nll"])
        checks.picture("image", result.image, part["image"])
    return checks


def answer_nll(model: MaeVqgan, logits: Tensor, codes: Tensor) -> float:
    """Mean cross-entropy of the answer's patches; logits [196 or 98,codes], codes [196] of the canvas."""
    answer = list(model.geometry.quadrant_patches[Quadrant.ANSWER])
    full = logits if len(logits) == len(codes) else torch.cat([logits, logits])
    return float(F.cross_entropy(full[answer], codes[answer]))


def _check_tokens(model: MaeVqgan, case: str, arrays: Arrays, checks: Checks) -> None:
    """Orders and masks that do not depend on a canvas."""
    name = "one_shot" if "oneshot" in case else "zero_shot"
    visible = model.program("one_shot").visible
    hidden = [patch for patch in range(model.geometry.patches) if patch not in visible]
    if "ids_shuffle" in arrays:
        checks.close("token order", "equal", [*visible, *hidden], arrays["ids_shuffle"])
        checks.close("visible", "equal", len(visible), arrays["len_keep"])
        checks.close("mask", "equal", np.isin(np.arange(model.geometry.patches), hidden), arrays["mask"])
    if "premask_pass_indices" in arrays:
        token_of, zero_shot = (
            {patch: token for token, patch in enumerate(visible, start=1)},
            model.program("zero_shot"),
        )
        kept = [0, *(token_of[patch] for patch in zero_shot.visible)]
        quadrants = model.geometry.quadrant_patches
        dropped = [1 + patch for quadrant in quadrants for patch in quadrant if patch not in zero_shot.covered]
        checks.close("kept tokens", "equal", kept, arrays["premask_pass_indices"])
        checks.close("dropped tokens", "equal", dropped, arrays["drop_indices"])
    if "sample" in arrays:
        draw = np.random.Generator(np.random.PCG64(int(arrays["seed"])))
        checks.close("sample", "equal", draw.random(len(arrays["sample"])) < arrays["p"], arrays["sample"])
        sites = positions(model, name, int(arrays["granularity"]), arrays["sample"])
        checks.close("positions", "equal", sites, arrays["indices"])


def _check_logits(part: Arrays, arrays: Arrays, result: Run, checks: Checks) -> None:
    logits = result.logits.numpy()
    if "logits" in part:
        checks.close("logits", "logits", logits, part["logits"])
    if "logits_rows" in part:
        checks.close("logits", "logits", logits[arrays[f"rows{len(logits)}"]], part["logits_rows"])
        checks.close("logits", "logits", logits[:, ::16], part["logits_cols"])
    checks.sums("logits sum", logits, part["logits_stats"])
    margin = part["margin"]
    differ = (logits.argmax(-1) != part["tokens"]) & (margin > TOLERANCES["logits"])
    checks.add("codes", "codes", float(differ.sum()))
    best = np.partition(logits, -2, axis=-1)[:, -2:]
    checks.close("margin", "margin", best[:, 1] - best[:, 0], margin)


def _check_latent(part: Arrays, result: Run, checks: Checks) -> None:
    latent = result.latent.numpy()
    if "latent" in part:
        checks.close("latent", "latent", latent, part["latent"])
    if "latent_cols" in part:
        checks.close("latent", "latent", latent[:, ::16], part["latent_cols"])
    checks.sums("latent sum", latent, part["latent_stats"])


def _check_blocks(part: Arrays, result: Run, checks: Checks) -> None:
    kept = {"enc": ([0, 1, 100], result.encoder_blocks), "dec": ([0, 1, 100, 196], result.decoder_blocks)}
    for side, (rows, blocks) in kept.items():
        outputs = torch.stack(blocks).numpy()
        if f"{side}_blocks" in part:
            checks.close(f"{side} blocks", "blocks", outputs, part[f"{side}_blocks"])
        if f"{side}_block_stats" in part:
            checks.sums(f"{side} block sums", outputs, part[f"{side}_block_stats"])
            checks.close(f"{side} blocks", "blocks", outputs[:, rows, ::8], part[f"{side}_block_rows"])
