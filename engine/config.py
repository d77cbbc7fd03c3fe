"""Architecture of a MAE-VQGAN: two frozen dataclasses, the published sizes, and ours."""

from dataclasses import asdict, dataclass
from typing import Any

from engine.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class MaeConfig:
    """Masked autoencoder over patches (He et al., CVPR 2022), predicting VQGAN codes.

    Widths are channels, depths are transformer blocks. `image_size` and `patch_size` are pixels.
    """

    image_size: int = 224
    patch_size: int = 16
    width: int = 1024
    depth: int = 24
    heads: int = 16
    decoder_width: int = 512
    decoder_depth: int = 8
    decoder_heads: int = 16
    mlp_ratio: int = 4
    codes: int = 1024

    def __post_init__(self) -> None:
        if self.width % self.heads or self.decoder_width % self.decoder_heads:
            raise CheckpointError("MAE widths must be multiples of their head counts")
        if self.width % 4 or self.decoder_width % 4:
            raise CheckpointError("MAE widths must be multiples of 4 for the sin-cos position table")


@dataclass(frozen=True, slots=True)
class VqganConfig:
    """VQGAN (Esser et al., CVPR 2021) with `ch * ch_mult[i]` channels at level i.

    `stem` is a patch size folded into the first and last convolution: 1 is the published
    network; 4 starts at a quarter of the resolution and makes a small model affordable on a CPU.
    `resolution` is the nominal input size that decides where attention blocks stand, as published:
    the actual input may be smaller.
    """

    codes: int = 1024
    code_width: int = 256
    z_channels: int = 256
    ch: int = 128
    ch_mult: tuple[int, ...] = (1, 1, 2, 2, 4)
    res_blocks: int = 2
    attention_at: tuple[int, ...] = (16,)
    resolution: int = 256
    stem: int = 1

    @property
    def downsampling(self) -> int:
        """Pixels per code along one side."""
        return int(self.stem * 2 ** (len(self.ch_mult) - 1))


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A whole MAE-VQGAN."""

    name: str
    mae: MaeConfig
    vqgan: VqganConfig

    def __post_init__(self) -> None:
        if self.vqgan.downsampling != self.mae.patch_size:
            raise CheckpointError(
                f"the VQGAN makes one code per {self.vqgan.downsampling} px, the MAE one per {self.mae.patch_size} px"
            )
        if self.vqgan.codes != self.mae.codes:
            raise CheckpointError(f"the MAE predicts {self.mae.codes} codes, the VQGAN has {self.vqgan.codes}")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ModelConfig":
        """The reverse of `to_json`; raises CheckpointError on unknown or missing fields."""
        try:
            vqgan = dict(data["vqgan"])
            for key in ("ch_mult", "attention_at"):
                vqgan[key] = tuple(vqgan[key])
            return cls(str(data["name"]), MaeConfig(**data["mae"]), VqganConfig(**vqgan))
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"model.json does not describe a MAE-VQGAN: {error}") from None


PUBLISHED = {
    "base": ModelConfig("mae-vqgan-base", MaeConfig(width=768, depth=12, heads=12), VqganConfig()),
    "large": ModelConfig("mae-vqgan-large", MaeConfig(), VqganConfig()),
    "huge": ModelConfig("mae-vqgan-huge", MaeConfig(width=1280, depth=32, heads=16), VqganConfig()),
}

SMALL_VQGAN = VqganConfig(code_width=16, z_channels=64, ch=64, ch_mult=(1, 2, 4), res_blocks=1, stem=4)
SMALL = ModelConfig(
    "vtv-small",
    MaeConfig(width=256, depth=6, heads=8, decoder_width=128, decoder_depth=4, decoder_heads=4),
    SMALL_VQGAN,
)
MEDIUM = ModelConfig(
    "vtv-medium",
    MaeConfig(width=384, depth=12, heads=6, decoder_width=256, decoder_depth=8, decoder_heads=8),
    VqganConfig(code_width=32, z_channels=96, ch=96, ch_mult=(1, 2, 4), res_blocks=2, stem=4),
)
TRAINABLE = {"small": SMALL, "medium": MEDIUM}
"""Sizes for `vtv train`: `small` for some hours of a CPU, `medium` for half an hour of a data-centre GPU."""
