"""Case 2: what the public code records per head, from the head outputs we record.

It records `W_h x_h + b` with the whole bias for every head; its running mean of that is our mean of x_h
projected in the same way, since projecting and averaging commute.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from parity.checks import Arrays, Checks
from parity.session import Session


def check_activations(session: Session, case: str) -> Checks:
    """Single canvases (`c0`) and running means (`mean01`)."""
    arrays, checks = session.arrays(case), Checks()
    for name in sorted({key.split("/")[0] for key in arrays if "/" in key}):
        if name.startswith("mean"):
            means = session.means(name.removeprefix("mean"))
            heads = (means.encoder, means.decoder)
        else:
            heads = session.heads(name)
        for side, values, blocks in zip(("enc", "dec"), heads, _blocks(session), strict=True):
            recorded = project(values, blocks)
            checks.close(f"{side} shape", "equal", recorded.shape, arrays[f"{side}_shape"])
            _compare(name, side, recorded, arrays, checks)
    return checks


def project(heads: Tensor, blocks: nn.ModuleList) -> NDArray[np.float32]:
    """Head outputs [L,N,H,d] -> each head through its own columns of the output projection [L,1,N,H,C]."""
    out = []
    with torch.inference_mode():
        for values, block in zip(heads, blocks, strict=True):
            layer = block.get_submodule("attn.proj")
            assert isinstance(layer, nn.Linear)
            columns = layer.weight.view(len(layer.weight), values.shape[1], values.shape[2])
            out.append(torch.einsum("nhd,chd->nhc", values, columns) + layer.bias)
    array: NDArray[np.float32] = torch.stack(out)[:, None].numpy()
    return array


def _blocks(session: Session) -> tuple[nn.ModuleList, nn.ModuleList]:
    return session.model.mae.blocks, session.model.mae.decoder_blocks


def _compare(name: str, side: str, ours: NDArray[np.float32], arrays: Arrays, checks: Checks) -> None:
    what, prefix = f"{'mean' if name.startswith('mean') else 'heads'} {side}", f"{name}/{side}"
    if prefix in arrays:
        checks.close(what, "heads", ours, arrays[prefix])
    if f"{prefix}_ch4" in arrays:
        checks.close(what, "heads", ours[..., ::4], arrays[f"{prefix}_ch4"])
    if f"{prefix}_slices" in arrays:
        axes = [arrays[f"{side}_slices_{axis}"] for axis in ("layers", "tokens", "heads")]
        checks.close(what, "heads", ours[:, 0][np.ix_(*axes)], arrays[f"{prefix}_slices"])
    if f"{prefix}_flat" in arrays:
        checks.close(what, "heads", ours.reshape(-1)[:: int(arrays["flat_stride"])], arrays[f"{prefix}_flat"])
    if f"{prefix}_sum" in arrays:
        sums = np.stack([arrays[f"{prefix}_sum"], arrays[f"{prefix}_abs_sum"]], -1)
        checks.sums(f"{what} sums", ours[:, 0].transpose(0, 2, 1, 3), sums, "head_sums")
