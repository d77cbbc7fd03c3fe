"""`vtv import-checkpoint`: the official MAE-VQGAN files become a model directory of ours.

Nothing a file says is executed: tensors are rebuilt from plain numbers (`artifacts/pickles/`), and every other object
a training checkpoint carries (arguments, callbacks) becomes an inert stand-in. The architecture follows from the
tensors' shapes; the VQGAN's yaml, when given, must agree with them.
"""

import math
from pathlib import Path
from typing import Any

import torch
import yaml  # type: ignore[import-untyped]
from torch import Tensor

from artifacts.errors import OfflineError
from artifacts.pickles.torch_file import read_torch_file
from engine.checkpoint import empty_model, load_exactly, save_model
from engine.config import PUBLISHED, MaeConfig, ModelConfig, VqganConfig
from engine.errors import CheckpointError
from engine.mae import sincos_table

UNUSED = ("loss.", "vae.loss.", "model_ema.")
"""Perceptual loss, discriminator and averages: a VQGAN's training carries them, nothing here uses them."""
HEADS = {768: 12, 1024: 16, 1280: 16, 64: 4}
DECODER_HEADS = {512: 16, 48: 4}
"""Head counts by width, which no tensor's shape tells: published models, and the golden numbers' tiny one."""
NOMINAL_RESOLUTION = 256
POSITION_TOLERANCE = 1e-5
WRAPPERS = ("module", "_orig_mod", "model")
"""What DistributedDataParallel, torch.compile and a Lightning module put into the names of the tensors inside them."""
KEYS = ("model", "state_dict", "module", "model_state_dict")
"""Under which training code keeps a model's tensors."""
NEVER = ("builtins", "__builtin__", "os", "posix", "nt", "sys", "subprocess", "importlib", "socket", "ctypes")
"""Modules that no checkpoint has a use for: one that names them is refused, though nothing would be run."""


def public_name(name: str) -> str:
    """Our tensor name -> its key in the official MAE checkpoint, where only the VQGAN's have a prefix."""
    return name.removeprefix("mae.")


def own_name(key: str) -> str:
    """The reverse of `public_name`."""
    return key if key.startswith("vae.") else f"mae.{key}"


def import_checkpoint(
    mae: Path,
    vqgan: Path,
    config_yaml: Path | None,
    out: Path,
    name: str | None = None,
    heads: int | None = None,
    decoder_heads: int | None = None,
) -> str:
    """Write the model directory `out` (float32) and return its fingerprint.

    VQGAN tensors inside the MAE file win over the VQGAN file, as in the public code. `heads` and
    `decoder_heads` are needed for widths that no published model has. Raises CheckpointError, which lists
    missing, unknown or misshapen tensors.
    """
    tensors = read_tensors(mae, "model")
    from_vqgan = {f"vae.{key}": tensor for key, tensor in read_tensors(vqgan, "state_dict").items()}
    tensors = from_vqgan | tensors
    mae_config = infer_mae(tensors, heads, decoder_heads)
    vqgan_config = infer_vqgan(tensors, read_yaml(config_yaml))
    config = ModelConfig(name or default_name(mae_config, vqgan_config), mae_config, vqgan_config)
    model = empty_model(config)
    load_exactly(model, {own_name(key): tensor.float() for key, tensor in tensors.items()})
    check_positions(tensors, config.mae)
    return save_model(model, out, torch.float32)


def read_tensors(path: Path, key: str) -> dict[str, Tensor]:
    """The tensors under `key` of a torch checkpoint, or the whole of one that holds nothing else; unused ones are left
    out, and so is what wrappers put into names. Raises CheckpointError."""
    try:
        data = read_torch_file(path, lambda name: name.partition(".")[0] not in NEVER)
    except OfflineError as error:
        raise CheckpointError(f"cannot be read as a torch checkpoint: {error}") from None
    known = [name for name in (key, *KEYS) if isinstance(data, dict) and name in data]
    held = data[known[0]] if known else data
    if not isinstance(held, dict) or not held or not all(isinstance(value, Tensor) for value in held.values()):
        raise CheckpointError(f"{path} holds no tensors under {key!r}: is it the right file?")
    named = {_unwrapped(str(name)): value for name, value in held.items()}
    if len(named) != len(held):
        raise CheckpointError(f"{path} holds some tensors twice, with and without {' or '.join(WRAPPERS)}")
    used = {name: value for name, value in named.items() if not name.startswith(UNUSED)}
    for name, value in used.items():
        if not (value.is_floating_point() and bool(torch.isfinite(value).all())):
            raise CheckpointError(f"{path}: tensor {name} holds other values than finite numbers of floating point")
    return used


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def read_yaml(path: Path | None) -> dict[str, Any]:
    """The VQGAN's parameters in a taming-transformers yaml: `ddconfig`'s with `embed_dim` and `n_embed`."""
    if path is None:
        return {}
    try:
        data = yaml.safe_load(path.read_text())
        stated = data["model"]["params"]
        return {**stated["ddconfig"], "embed_dim": stated["embed_dim"], "n_embed": stated["n_embed"]}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CheckpointError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path} does not describe a VQGAN under model.params: {error}") from None


def infer_mae(tensors: dict[str, Tensor], heads: int | None, decoder_heads: int | None) -> MaeConfig:
    """The MAE's configuration from its tensors' shapes."""
    width, decoder_width = _shape(tensors, "cls_token", 3)[-1], _shape(tensors, "mask_token", 3)[-1]
    patch = _shape(tensors, "patch_embed.proj.weight", 4)[-1]
    return MaeConfig(
        image_size=math.isqrt(_shape(tensors, "pos_embed", 3)[1] - 1) * patch,
        patch_size=patch,
        width=width,
        depth=_count(tensors, "blocks"),
        heads=_heads(heads, HEADS, width, "--heads"),
        decoder_width=decoder_width,
        decoder_depth=_count(tensors, "decoder_blocks"),
        decoder_heads=_heads(decoder_heads, DECODER_HEADS, decoder_width, "--decoder-heads"),
        mlp_ratio=_shape(tensors, "blocks.0.mlp.fc1.weight", 2)[0] // width,
        codes=_shape(tensors, "decoder_pred.weight", 2)[0],
    )


def infer_vqgan(tensors: dict[str, Tensor], stated: dict[str, Any]) -> VqganConfig:
    """The VQGAN's configuration from its tensors' shapes; what the yaml states must agree."""
    ch = _shape(tensors, "vae.encoder.conv_in.weight", 4)[0]
    levels = range(_count(tensors, "vae.encoder.down"))
    resolution = stated.get("resolution", NOMINAL_RESOLUTION)
    if not isinstance(resolution, int):
        raise CheckpointError("the VQGAN's yaml states a resolution that is no whole number")
    codes, code_width = _shape(tensors, "vae.quantize.embedding.weight", 2)
    config = VqganConfig(
        codes=codes,
        code_width=code_width,
        z_channels=_shape(tensors, "vae.encoder.conv_out.weight", 4)[0],
        ch=ch,
        ch_mult=tuple(_shape(tensors, f"vae.encoder.down.{i}.block.0.conv1.weight", 4)[0] // ch for i in levels),
        res_blocks=_count(tensors, "vae.encoder.down.0.block"),
        attention_at=tuple(resolution >> i for i in levels if _count(tensors, f"vae.encoder.down.{i}.attn")),
        resolution=resolution,
    )
    _check_stated(config, stated)
    return config


def check_positions(tensors: dict[str, Tensor], config: MaeConfig) -> None:
    """The engine computes with the sin-cos tables; a checkpoint that holds others is not this model."""
    grid = config.image_size // config.patch_size
    for key, width in (("pos_embed", config.width), ("decoder_pos_embed", config.decoder_width)):
        held = tensors[key]
        table = sincos_table(width, grid).to(held.dtype).float()  # rounded as the file's numbers are
        tolerance = max(POSITION_TOLERANCE, torch.finfo(held.dtype).eps)
        if held.shape != table.shape or not (held.float() - table).abs().max() <= tolerance:
            raise CheckpointError(f"{key} is not the fixed 2-D sin-cos table of a {grid} x {grid} grid")


def _check_stated(config: VqganConfig, stated: dict[str, Any]) -> None:
    found = {
        "double_z": False,
        "z_channels": config.z_channels,
        "in_channels": 3,
        "out_ch": 3,
        "ch": config.ch,
        "ch_mult": list(config.ch_mult),
        "num_res_blocks": config.res_blocks,
        "attn_resolutions": list(config.attention_at),
        "embed_dim": config.code_width,
        "n_embed": config.codes,
    }
    for key, value in found.items():
        if key in stated and stated[key] != value:
            raise CheckpointError(f"the VQGAN's yaml states {key} {stated[key]}, its tensors have {value}")


def _shape(tensors: dict[str, Tensor], key: str, sides: int) -> tuple[int, ...]:
    if key not in tensors:
        raise CheckpointError(f"tensor {key} is missing: not a MAE-VQGAN checkpoint, or an incomplete one")
    shape = tuple(tensors[key].shape)
    if len(shape) != sides or 0 in shape:
        raise CheckpointError(f"tensor {key} has shape {list(shape)}: not a MAE-VQGAN checkpoint")
    return shape


def _count(tensors: dict[str, Tensor], prefix: str) -> int:
    """How many numbered children a prefix has."""
    return len({key[len(prefix) + 1 :].split(".")[0] for key in tensors if key.startswith(f"{prefix}.")})


def _heads(given: int | None, known: dict[int, int], width: int, option: str) -> int:
    if given is not None:
        return given
    if width not in known:
        raise CheckpointError(f"no published model is {width} wide: state its number of heads with {option}")
    return known[width]


def default_name(mae: MaeConfig, vqgan: VqganConfig) -> str:
    """A published configuration's own name, any other by its size."""
    for published in PUBLISHED.values():
        if (published.mae, published.vqgan) == (mae, vqgan):
            return published.name
    return f"mae-vqgan-{mae.width}x{mae.depth}"
