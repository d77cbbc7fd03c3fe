"""CLIP's image tower with a vision transformer, run by `transformers` (the extra `clip`).

*Learning Transferable Visual Models From Natural Language Supervision* (ICML 2021). OpenAI's ViT towers and OpenCLIP's
in the library's format; the library has no CLIP with a ResNet.
"""

from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import CheckpointError
from engine.towers.tower import Tower

SHAPE = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "image_size",
    "patch_size",
    "hidden_act",
    "layer_norm_eps",
)
"""What of the library's configuration decides the numbers."""
INSTALL = "pip install 'visual-task-vectors[clip]'"


class ClipTower(Tower):
    """`vision` has the entries of `SHAPE`; `mean` and `std` are of the three channels of pixels over 255."""

    architecture = "clip-vit"

    def __init__(
        self, vision: dict[str, Any], width: int, shorter_edge: int, mean: list[float], std: list[float]
    ) -> None:
        try:
            from transformers import CLIPVisionConfig, CLIPVisionModel
        except ImportError:
            raise CheckpointError(f"a CLIP tower needs more packages: {INSTALL}") from None
        super().__init__(int(vision["image_size"]), shorter_edge, width)
        self.shape, self.mean, self.std = {name: vision[name] for name in SHAPE}, mean, std
        self.vision_model: Any = CLIPVisionModel(CLIPVisionConfig(**self.shape))
        self.visual_projection = nn.Linear(self.shape["hidden_size"], width, bias=False)
        for name, numbers in (("shift", mean), ("gain", std)):
            self.register_buffer(name, torch.tensor(numbers).reshape(1, 3, 1, 1), persistent=False)
        self.shift: Tensor
        self.gain: Tensor

    def forward(self, pixels: Tensor) -> Tensor:
        pictures = pixels.permute(0, 3, 1, 2).float() / 255
        pooled: Tensor = self.vision_model(pixel_values=(pictures - self.shift) / self.gain).pooler_output
        features: Tensor = self.visual_projection(pooled)
        return features

    def config(self) -> dict[str, Any]:
        about = {"width": self.width, "mean": self.mean, "std": self.std, "vision": self.shape}
        return super().config() | about

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ClipTower":
        """Without weights; raises KeyError, TypeError, ValueError for what is no configuration."""
        mean, std = ([float(number) for number in config[name]] for name in ("mean", "std"))
        return cls(dict(config["vision"]), int(config["width"]), int(config["shorter_edge"]), mean, std)
