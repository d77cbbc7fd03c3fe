"""Case 7: the tokenizer alone, both ways."""

import torch

from engine.program import Scope
from parity.checks import TOLERANCES, Arrays, Checks
from parity.forward import image, tokenizer_input
from parity.session import Session, canvases_of

CROP = slice(100, 132)


@torch.inference_mode()
def check_vqgan(session: Session, case: str) -> Checks:
    """Codes and latents of canvases; pixels of given codes, and of a lower half stacked on itself."""
    arrays, checks, vae = session.arrays(case), Checks(), session.model.vae
    for name in canvases_of(arrays):
        latents = vae.latents(tokenizer_input(session.canvas(name)))
        nearest = vae.distances(latents)[0].topk(2, largest=False)
        margin = (nearest.values[:, 1] - nearest.values[:, 0]).numpy()
        wanted = arrays[f"{name}/index_margin"]
        differ = (session.codes(name).numpy() != arrays[f"{name}/indices"]) & (wanted > TOLERANCES["distances"])
        checks.add("codes", "indices", float(differ.sum()))
        checks.close("code margin", "distances", margin, wanted)
        z, stored = latents[0].numpy(), arrays[f"{name}/z"]
        checks.close("latents", "latents_vqgan", z[:: len(z) // len(stored)], stored)
        checks.sums("latents sum", z, arrays[f"{name}/z_stats"])
    tokens, grid = torch.from_numpy(arrays["tokens"]).long(), session.model.geometry.grid
    decoded = vae.decode(tokens, grid, grid)
    _check_pixels(decoded, arrays, checks)
    lower = vae.codebook[tokens[1:, grid * grid // 2 :]]
    doubled = session.model.decode("zero_shot", lower, Scope.CANVAS)
    checks.close("doubled", "decoded", doubled[:, :, CROP, CROP], arrays["decoded_crop"][1:])
    return checks


def _check_pixels(decoded: torch.Tensor, arrays: Arrays, checks: Checks) -> None:
    checks.close("decoded", "decoded", decoded[:, :, ::4, ::4], arrays["decoded_s"])
    checks.close("decoded", "decoded", decoded[:, :, CROP, CROP], arrays["decoded_crop"])
    checks.sums("decoded sum", decoded, arrays["decoded_stats"])
    checks.picture("image", image(decoded), arrays["decoded_uint8"])
