"""Samples of search variables as overrides, in the public code's order and with its means."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from artifacts.collect.means import Means
from artifacts.search.granularity import GRANULARITIES, Variables
from engine.mae import Edit
from engine.model import MaeVqgan
from engine.overrides import write

Sample = NDArray[np.uint8]


def site_masks(model: MaeVqgan, name: str, granularity: int, sample: Sample) -> tuple[Tensor, Tensor]:
    """On/off variables [n] -> bool masks [L,N,H] of encoder and decoder.

    Below head granularity the public code knows the zero-shot program's 50 and 99 tokens only; in one-shot
    runs the rest is never written.
    """
    whole = name if granularity == 0 else "zero_shot"
    variables = Variables(model.config.mae, model.program(whole), GRANULARITIES[granularity])
    switched = torch.from_numpy(sample.astype(bool))[None]
    program = model.program(name)
    tokens = (program.encoder_tokens, program.decoder_tokens)
    encoder, decoder = (
        F.pad(mask[:, 0], (0, 0, 0, wanted - mask.shape[2]))
        for mask, wanted in zip(variables.expand(switched), tokens, strict=True)
    )
    return encoder, decoder


def positions(model: MaeVqgan, name: str, granularity: int, sample: Sample) -> NDArray[np.int64]:
    """Written sites [M,3] as (layer, head, token), the decoder's layers after the encoder's, by variable."""
    whole = name if granularity == 0 else "zero_shot"
    variables = Variables(model.config.mae, model.program(whole), GRANULARITIES[granularity])
    rows, first = [], 0
    for index in (variables.encoder_index, variables.decoder_index):
        layer, token, head = (axis.flatten() for axis in np.indices(index.shape))
        rows.append(np.stack([index.flatten().numpy(), layer + first, head, token], 1))
        first += len(index)
    sites = np.concatenate(rows)
    sites = sites[sample.astype(bool)[sites[:, 0]]]
    ordered: NDArray[np.int64] = sites[np.lexsort((sites[:, 3], sites[:, 0]))][:, 1:]
    return ordered


def edits(model: MaeVqgan, name: str, means: Means, masks: tuple[Tensor, Tensor]) -> tuple[Edit, Edit]:
    """Overrides that write one-shot means at a program's own tokens."""
    encoder, decoder = means.for_program(model.program(name), model.program("one_shot"))
    return write(encoder, masks[0]), write(decoder, masks[1])
