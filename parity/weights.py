"""Synthetic weights: every tensor follows from its public key and its shape alone.

A key's standard normals come from PCG64 seeded by the first eight bytes (little-endian) of the key's SHA-256.
Gains depend on what the tensor is; they keep predicted codes apart at any depth.
"""

import hashlib
import math

import numpy as np
import torch
from numpy.typing import NDArray

from engine.checkpoint import empty_model
from engine.config import PUBLISHED, MaeConfig, ModelConfig, VqganConfig
from engine.mae import sincos_table
from engine.model import MaeVqgan
from training.import_checkpoint import public_name

Values = NDArray[np.float32]

SIZES = {
    "tiny": ModelConfig(
        "golden-tiny",
        MaeConfig(width=64, depth=4, heads=4, decoder_width=48, decoder_depth=3, decoder_heads=4),
        VqganConfig(code_width=64, z_channels=64, ch=32),
    ),
    "large": PUBLISHED["large"],
}
TOKENS = ("cls_token", "mask_token")
POSITIONS = ("pos_embed", "decoder_pos_embed")
CODEBOOK = "vae.quantize.embedding.weight"
SHARPER = 2.5
"""Gain of query and key rows, so that attention is not uniform."""


def synthetic_model(config: ModelConfig) -> MaeVqgan:
    """A frozen model with the rule's weights; position tables are the engine's own."""
    model = empty_model(config)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            key = public_name(name)
            if key in POSITIONS:
                tensor.copy_(sincos_table(tensor.shape[2], model.geometry.grid))
            else:
                tensor.copy_(torch.from_numpy(synthetic(key, tuple(tensor.shape))))
    return model


def synthetic(key: str, shape: tuple[int, ...]) -> Values:
    """The float32 tensor of a public key (VQGAN keys start with `vae.`)."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
    normal = np.random.Generator(np.random.PCG64(seed)).standard_normal(shape, dtype=np.float32)
    if key in TOKENS or key.endswith(".bias"):
        return normal * np.float32(0.02)
    if key == CODEBOOK:
        return normal
    if len(shape) == 1:
        return np.float32(1) + np.float32(0.1) * normal
    return normal * _gain(key, shape)


def _gain(key: str, shape: tuple[int, ...]) -> Values:
    """Broadcasts over a weight of two or more dimensions; the product is rounded to float32 once."""
    unit = 1 / math.sqrt(math.prod(shape[1:]))
    if key.endswith(".attn.proj.weight"):
        return np.asarray(0.5 * unit, np.float32)
    if not key.endswith(".attn.qkv.weight"):
        return np.asarray(unit, np.float32)
    rows = np.full((shape[0], 1), unit, np.float32)
    rows[: 2 * shape[0] // 3] = SHARPER * unit
    return rows
