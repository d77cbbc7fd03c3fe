"""Case 8: the pre-training loss under random masking, and its gradients."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.model import MaeVqgan
from parity.checks import Checks
from parity.forward import normalised
from parity.session import Session

MASK_RATIO = 0.75


def check_pretrain(session: Session, case: str) -> Checks:
    """Loss over the hidden patches of a batch, against the VQGAN's codes."""
    arrays, checks, mae = session.arrays(case), Checks(), session.model.mae
    names = [f"c{number}" for number in arrays["canvases"]]
    shuffle = torch.from_numpy(arrays["noise"]).argsort(1)
    pixels = torch.cat([normalised(session.canvas(name)) for name in names])
    target = torch.stack([session.codes(name) for name in names])
    mae.requires_grad_(True)
    try:
        logits, hidden = masked_logits(session.model, pixels, shuffle)
        loss = (F.cross_entropy(logits.transpose(1, 2), target, reduction="none") * hidden).sum() / hidden.sum()
        loss.backward()
        gradients = {n: p.grad.numpy() for n, p in mae.named_parameters() if p.grad is not None}
    finally:
        mae.requires_grad_(False)
        mae.zero_grad(set_to_none=True)
    checks.close("token order", "equal", shuffle, arrays["ids_shuffle"])
    checks.close("mask", "equal", hidden, arrays["mask"])
    checks.close("target codes", "equal", target, arrays["target"])
    predicted = logits.detach().numpy()
    checks.close("logits", "logits", predicted[..., ::16], arrays["pred_cols"])
    checks.sums("logits sum", predicted, arrays["pred_stats"])
    checks.close("loss", "loss", float(loss.detach()), arrays["loss"])
    for key in (name for name in arrays if name.startswith("grad/")):
        checks.close("gradients", "gradients", gradients[key.removeprefix("grad/")], arrays[key])
    squares = sum(float((g.astype(np.float64) ** 2).sum()) for g in gradients.values())
    checks.relative("sum of squared gradients", "gradient_squares", squares, float(arrays["grad_sq_sum"]))
    return checks


def masked_logits(model: MaeVqgan, pixels: Tensor, shuffle: Tensor) -> tuple[Tensor, Tensor]:
    """Normalised canvases [B,3,S,S], patch order [B,P] -> logits [B,P,codes], hidden [B,P] in {0, 1}.

    The first quarter of the order is seen.
    """
    batch, patches = shuffle.shape
    keep = int(patches * (1 - MASK_RATIO))
    visible = shuffle[:, :keep]
    embedded = model.mae.patch_embed(pixels)
    seen = embedded.gather(1, visible[..., None].expand(-1, -1, embedded.shape[2]))
    latent = model.mae.encode(model.mae.embed(seen, visible))
    order = torch.full((batch, 1 + patches), keep + 1)
    order.scatter_(1, visible + 1, torch.arange(1, keep + 1).expand(batch, -1))
    order[:, 0] = 0
    logits = model.mae.decode(latent, order, torch.arange(patches))[:, 1:]
    return logits, (order[:, 1:] == keep + 1).float()
