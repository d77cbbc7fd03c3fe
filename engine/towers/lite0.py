"""EfficientNet-Lite0 (Google, 2020): EfficientNet-B0's blocks without squeeze-and-excitation, and with ReLU6.

*EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks* (ICML 2019), table 1, for the blocks. Batch
norms are folded into the convolutions before them.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from engine.errors import CheckpointError
from engine.towers.tower import Tower

STEM, WIDTH = 32, 1280
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Blocks, kernel, stride of the first block, expansion, channels out."""
STRIDE = 32
MEAN, DEVIATION = 127, 128
"""What pixels are normalised by, every channel alike: what comes of it bfloat16 holds exactly."""


class Convolution(nn.Module):
    """A convolution with TensorFlow's SAME padding: of an odd number, the larger half goes below and right."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride, groups=groups)
        whole = kernel - stride  # of an even side, which every side here is where the stride is 2
        self.padding = (whole // 2, whole - whole // 2) * 2

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(F.pad(x, self.padding) if any(self.padding) else x)
        return out


class Block(nn.Module):
    """Mobile inverted bottleneck: expand, filter each channel, project; added to its input where shapes allow."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.expand = Convolution(channels, inner, 1) if expansion > 1 else None
        self.depthwise = Convolution(inner, inner, kernel, stride, groups=inner)
        self.project = Convolution(inner, out, 1)
        self.adds = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        inner = x if self.expand is None else F.relu6(self.expand(x))
        out: Tensor = self.project(F.relu6(self.depthwise(inner)))
        return x + out if self.adds else out


class Lite0(Tower):
    """The encoder up to the mean over places, features [B,1280] of 0 to 6."""

    architecture = "efficientnet-lite0"

    def __init__(self, size: int = 224, shorter_edge: int = 256) -> None:
        if size <= 0 or size % STRIDE:
            raise CheckpointError(f"EfficientNet-Lite0 takes sides of a multiple of {STRIDE} pixels, not {size}")
        super().__init__(size, shorter_edge, WIDTH)
        self.stem = Convolution(3, STEM, 3, 2)
        self.blocks = nn.Sequential(*_blocks())
        self.head = Convolution(STAGES[-1][-1], WIDTH, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        # Before the channels are moved: OpenVINO then writes the picture once where it would three times.
        pictures = ((pixels.float() - MEAN) / DEVIATION).permute(0, 3, 1, 2)
        x = F.relu6(self.stem(pictures))
        return F.relu6(self.head(self.blocks(x))).mean((2, 3))


def _blocks() -> list[Block]:
    blocks, channels = [], STEM
    for count, kernel, stride, expansion, out in STAGES:
        for number in range(count):
            blocks.append(Block(channels, out, kernel, stride if number == 0 else 1, expansion))
            channels = out
    return blocks
