"""VQGAN: images to codes and back (Esser et al., CVPR 2021; layer names as in its public checkpoints)."""

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.config import VqganConfig


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, channels, eps=1e-6)


def _swish(x: Tensor) -> Tensor:
    return F.silu(x)


class ResnetBlock(nn.Module):
    """[B,C,h,w] -> [B,C',h,w]: two normalised 3x3 convolutions around a skip."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1 = _norm(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = _norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(_swish(self.norm1(x)))
        residual: Tensor = self.conv2(_swish(self.norm2(h)))
        return cast(Tensor, self.nin_shortcut(x)) + residual


class AttentionBlock(nn.Module):
    """Single-head self-attention over positions, [B,C,h,w] -> [B,C,h,w]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (layer(h).flatten(2).transpose(1, 2) for layer in (self.q, self.k, self.v))
        # Scaled before the product, whose sums over all channels float16 could not hold.
        weights = torch.softmax((q * x.shape[1] ** -0.5) @ k.transpose(1, 2), dim=-1)
        mixed = (weights @ v).transpose(1, 2).reshape(x.shape)
        return x + cast(Tensor, self.proj_out(mixed))


class Downsample(nn.Module):
    """Halve the size; padded on the right and the bottom only, as published."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.conv(F.pad(x, (0, 1, 0, 1))))


class Upsample(nn.Module):
    """Double the size: nearest neighbour, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest")))


class Level(nn.Module):
    """The blocks of one resolution, with attention after each where the level has it."""

    def __init__(self, inputs: int, outputs: int, blocks: int, attention: bool) -> None:
        super().__init__()
        widths = [inputs] + [outputs] * blocks
        self.block = nn.ModuleList(ResnetBlock(a, b) for a, b in pairwise(widths))
        self.attn = nn.ModuleList(AttentionBlock(outputs) for _ in range(blocks if attention else 0))
        self.downsample: Downsample | None = None
        self.upsample: Upsample | None = None

    def forward(self, x: Tensor) -> Tensor:
        for index, block in enumerate(self.block):
            x = block(x)
            if len(self.attn):
                x = self.attn[index](x)
        if self.downsample is not None:
            x = self.downsample(x)
        if self.upsample is not None:
            x = self.upsample(x)
        return x


class Middle(nn.Module):
    """The bottleneck: block, attention, block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1 = ResnetBlock(channels, channels)
        self.attn_1 = AttentionBlock(channels)
        self.block_2 = ResnetBlock(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.block_2(self.attn_1(self.block_1(x))))


class Encoder(nn.Module):
    """Pixels [B,3,H,W] in [-1, 1] -> latents [B,z_channels,H/f,W/f]."""

    def __init__(self, config: VqganConfig) -> None:
        super().__init__()
        widths = [config.ch * multiple for multiple in config.ch_mult]
        self.conv_in = _stem_in(config)
        self.down = nn.ModuleList()
        size, inputs = config.resolution // config.stem, config.ch
        for index, width in enumerate(widths):
            level = Level(inputs, width, config.res_blocks, size in config.attention_at)
            if index < len(widths) - 1:
                level.downsample = Downsample(width)
                size //= 2
            self.down.append(level)
            inputs = width
        self.mid = Middle(inputs)
        self.norm_out = _norm(inputs)
        self.conv_out = nn.Conv2d(inputs, config.z_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
        return cast(Tensor, self.conv_out(_swish(self.norm_out(self.mid(x)))))


class Decoder(nn.Module):
    """Latents [B,z_channels,h,w] -> pixels [B,3,f*h,f*w], about [-1, 1] and not clamped."""

    def __init__(self, config: VqganConfig) -> None:
        super().__init__()
        widths = [config.ch * multiple for multiple in config.ch_mult]
        inputs = widths[-1]
        self.conv_in = nn.Conv2d(config.z_channels, inputs, 3, padding=1)
        self.mid = Middle(inputs)
        size = config.resolution // config.downsampling
        levels: list[Level] = []
        for index in reversed(range(len(widths))):
            level = Level(inputs, widths[index], config.res_blocks + 1, size in config.attention_at)
            if index > 0:
                level.upsample = Upsample(widths[index])
                size *= 2
            levels.insert(0, level)
            inputs = widths[index]
        self.up = nn.ModuleList(levels)
        self.norm_out = _norm(inputs)
        self.conv_out = nn.Conv2d(inputs, 3 * config.stem**2, 3, padding=1)
        self.stem = config.stem

    def forward(self, z: Tensor) -> Tensor:
        x = self.mid(self.conv_in(z))
        for level in reversed(list(self.up)):
            x = level(x)
        x = self.conv_out(_swish(self.norm_out(x)))
        return x if self.stem == 1 else F.pixel_shuffle(x, self.stem)


def _stem_in(config: VqganConfig) -> nn.Conv2d:
    if config.stem == 1:
        return nn.Conv2d(3, config.ch, 3, padding=1)
    return nn.Conv2d(3, config.ch, config.stem, stride=config.stem)


class Codebook(nn.Module):
    """The table of code vectors."""

    def __init__(self, config: VqganConfig) -> None:
        super().__init__()
        # Uniform: drawing normals on "meta", where models start without values, would load torch's compiler.
        start = torch.empty(config.codes, config.code_width).uniform_(-1, 1)
        self.embedding = nn.Embedding.from_pretrained(start, freeze=False)


class Vqgan(nn.Module):
    """Encoder, codebook and decoder."""

    def __init__(self, config: VqganConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quantize = Codebook(config)
        self.quant_conv = nn.Conv2d(config.z_channels, config.code_width, 1)
        self.post_quant_conv = nn.Conv2d(config.code_width, config.z_channels, 1)

    @property
    def codebook(self) -> Tensor:
        """[codes, code_width]."""
        return cast(Tensor, self.quantize.embedding.weight)

    def latents(self, pixels: Tensor) -> Tensor:
        """Pixels [B,3,H,W] in [-1, 1] -> latents before quantisation [B,code_width,h,w]."""
        return cast(Tensor, self.quant_conv(self.encoder(pixels)))

    def distances(self, latents: Tensor) -> Tensor:
        """Squared distances [B,h*w,codes] of latents [B,code_width,h,w] to every code."""
        flat = latents.flatten(2).transpose(1, 2).float()
        table = self.codebook.float()
        return (flat**2).sum(-1, keepdim=True) + (table**2).sum(-1) - 2 * flat @ table.T

    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels [B,3,H,W] in [-1, 1] -> code indices [B,h*w], row-major int64."""
        return self.distances(self.latents(pixels)).argmin(-1)

    def decode_vectors(self, vectors: Tensor, height: int, width: int) -> Tensor:
        """Code vectors [B,h*w,code_width] -> pixels [B,3,f*h,f*w] in [0, 1]."""
        z = vectors.transpose(1, 2).reshape(vectors.shape[0], -1, height, width)
        pixels: Tensor = self.decoder(self.post_quant_conv(z))
        return (pixels.clamp(-1, 1) + 1) / 2

    def decode(self, codes: Tensor, height: int, width: int) -> Tensor:
        """Code indices [B,h*w] -> pixels [B,3,f*h,f*w] in [0, 1]."""
        return self.decode_vectors(F.embedding(codes, self.codebook), height, width)
