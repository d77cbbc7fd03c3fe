"""Masked autoencoder over canvas patches (layer names as in the public MAE-VQGAN checkpoints).

Activations are `[B,N,C]`: batch, tokens (class token first), channels. Attention heads are exposed before
the output projection, as `[B,N,H,d]`, to one `edit` per block: that is where task vectors are written and
where means are recorded.
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.config import MaeConfig
from engine.operators import native

Edit = Callable[[int, Tensor], Tensor]
"""(block number, heads [B,N,H,d]) -> heads, called once per block in ascending order."""


def sincos_table(width: int, grid: int) -> Tensor:
    """Fixed 2-D position embedding [1,1+grid*grid,width]; the class token's row is zero.

    The first half of the channels encodes the column, the second the row; in each half sines come first
    (MAE, He et al. 2022; angles in float64).
    """
    frequency = 1.0 / 10000 ** (torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    place = torch.arange(grid * grid)
    parts: list[Tensor] = []
    for position in (place % grid, place // grid):
        angle = torch.outer(position.double(), frequency)
        parts += [angle.sin(), angle.cos()]
    table = torch.cat(parts, 1).float()
    return torch.cat([torch.zeros(1, width), table])[None]


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v for [B,H,N,d].

    At a few hundred tokens plain products are faster on a CPU than the fused kernel, four times so backwards.
    """
    if native(query):
        return F.scaled_dot_product_attention(query, key, value)
    weights = torch.softmax((query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1), dim=-1)
    return weights @ value


class Attention(nn.Module):
    """Multi-head self-attention whose heads can be edited before the output projection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, block: int, edit: Edit | None) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        mixed = attend(query, key, value).transpose(1, 2)
        if edit is not None:
            mixed = edit(block, mixed)
        return cast(Tensor, self.proj(mixed.reshape(batch, tokens, width)))


class Mlp(nn.Module):
    """Two linear layers around the exact GELU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.fc2(F.gelu(self.fc1(x))))


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, width * mlp_ratio)

    def forward(self, x: Tensor, block: int, edit: Edit | None) -> Tensor:
        x = x + self.attn(self.norm1(x), block, edit)
        return x + cast(Tensor, self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    """Pixels [B,3,H,W] -> one token per patch [B,patches,width], row-major."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)

    def forward(self, pixels: Tensor) -> Tensor:
        return cast(Tensor, self.proj(pixels)).flatten(2).transpose(1, 2)


class Mae(nn.Module):
    """Encoder over visible patches, decoder over all positions, logits over VQGAN codes."""

    pos_embed: Tensor
    decoder_pos_embed: Tensor

    def __init__(self, config: MaeConfig) -> None:
        super().__init__()
        self.config = config
        grid = config.image_size // config.patch_size
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.mask_token = nn.Parameter(torch.zeros(1, 1, config.decoder_width))
        with torch.device("cpu"):  # on "meta", where models start without values, arange would load torch's compiler
            self.register_buffer("pos_embed", sincos_table(config.width, grid))
            self.register_buffer("decoder_pos_embed", sincos_table(config.decoder_width, grid))
        self.patch_embed = PatchEmbed(config.width, config.patch_size)
        self.blocks = nn.ModuleList(Block(config.width, config.heads, config.mlp_ratio) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.decoder_embed = nn.Linear(config.width, config.decoder_width)
        self.decoder_blocks = nn.ModuleList(
            Block(config.decoder_width, config.decoder_heads, config.mlp_ratio) for _ in range(config.decoder_depth)
        )
        self.decoder_norm = nn.LayerNorm(config.decoder_width, eps=1e-6)
        self.decoder_pred = nn.Linear(config.decoder_width, config.codes)

    def embed(self, patches: Tensor, places: Tensor) -> Tensor:
        """Embedded patches [B,V,width] at `places` ([V] or [B,V] patch numbers) -> encoder input [B,1+V,width]."""
        patches = patches + self.pos_embed[0, places + 1]
        start = (self.cls_token + self.pos_embed[:, :1]).expand(patches.shape[0], -1, -1)
        return torch.cat([start, patches], 1)

    def encode(self, x: Tensor, edit: Edit | None = None) -> Tensor:
        """Encoder input [B,N,width] -> normalised output of the same shape."""
        for index, block in enumerate(self.blocks):
            x = block(x, index, edit)
        return cast(Tensor, self.norm(x))

    def decode(
        self, latent: Tensor, order: Tensor, places: Tensor, edit: Edit | None = None, wanted: Tensor | None = None
    ) -> Tensor:
        """Encoder output [B,1+V,width] -> logits [B,1+P,codes] for the class token and P positions, or for those tokens
        only that are `wanted` (int64 [W]).

        `order` ([1+P] or [B,1+P], int64) says which latent stands at each position, 1+V meaning the mask token;
        `places` [P] are the positions' patch numbers. One gather: no data-dependent shapes.
        """
        embedded = self.decoder_embed(latent)
        mask = self.mask_token.to(embedded.dtype).expand(embedded.shape[0], 1, -1)
        rows = torch.cat([embedded, mask], 1)
        each = order[..., None].expand(-1, -1, rows.shape[2]) if order.dim() == 2 else None
        x = rows.index_select(1, order) if each is None else rows.gather(1, each)
        x = x + torch.cat([self.decoder_pos_embed[:, :1], self.decoder_pos_embed[:, places + 1]], 1)
        for index, block in enumerate(self.decoder_blocks):
            x = block(x, index, edit)
        if wanted is not None:
            x = x.index_select(1, wanted)
        return cast(Tensor, self.decoder_pred(self.decoder_norm(x)))
