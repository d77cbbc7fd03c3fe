"""A deeper model that answers what it answered before: new blocks between the old ones, which change nothing at first.

A new block is a copy of the one before it with its two output projections at zero (block expansion, *LLaMA Pro*, ACL
2024): it starts from features that are of use, and training decides what it adds.
"""

import re
from dataclasses import replace

from torch import Tensor

from artifacts.errors import TrainingError
from engine.model import MaeVqgan

_OUTPUTS = ("attn.proj", "mlp.fc2")
_PLACE = re.compile(r"(?P<stack>blocks|decoder_blocks)\.(?P<block>\d+)\.(?P<part>.+)")


def deepened(model: MaeVqgan, depth: int, decoder_depth: int) -> MaeVqgan:
    """A model of `depth` encoder and `decoder_depth` decoder blocks, spread evenly; raises TrainingError for fewer."""
    old = model.config
    if depth < old.mae.depth or decoder_depth < old.mae.decoder_depth:
        raise TrainingError(
            f"{old.name} has {old.mae.depth} encoder and {old.mae.decoder_depth} decoder blocks: "
            f"{depth} and {decoder_depth} are fewer"
        )
    mae = replace(old.mae, depth=depth, decoder_depth=decoder_depth)
    if mae == old.mae:
        return model
    deeper = MaeVqgan(replace(old, name=f"{old.name}-{depth}-{decoder_depth}", mae=mae))
    sources = {
        "blocks": _sources(old.mae.depth, depth),
        "decoder_blocks": _sources(old.mae.decoder_depth, decoder_depth),
    }
    known = model.mae.state_dict()
    deeper.mae.load_state_dict({name: _value(name, known, sources) for name in deeper.mae.state_dict()})
    deeper.vae.load_state_dict(model.vae.state_dict())
    deeper.vae.requires_grad_(False).eval()
    return deeper


def _sources(old: int, new: int) -> list[tuple[int, bool]]:
    """For each new block: which old one it is made of, and whether it comes beside that one."""
    places: list[tuple[int, bool]] = []
    for block in range(old):
        copies = (block + 1) * (new - old) // old - block * (new - old) // old
        places += [(block, False), *[(block, True)] * copies]
    return places


def _value(name: str, known: dict[str, Tensor], sources: dict[str, list[tuple[int, bool]]]) -> Tensor:
    if (place := _PLACE.fullmatch(name)) is None:
        return known[name]
    block, beside = sources[place["stack"]][int(place["block"])]
    value = known[f"{place['stack']}.{block}.{place['part']}"]
    return value.new_zeros(value.shape) if beside and place["part"].startswith(_OUTPUTS) else value
