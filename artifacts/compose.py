"""`vtv compose A B`: two published vectors as one, by the arithmetic of task vectors.

Sites that one of them writes are written as it does; where both write, the mean of the two is.
"""

import json
from dataclasses import replace

import torch
from torch import Tensor

from artifacts.errors import ArtifactError
from artifacts.provenance import made_now
from artifacts.store.artifact import Artifact
from engine.task_vector import TaskVector

JOINER = "+"


def compose(first: Artifact, second: Artifact) -> tuple[TaskVector, dict[str, str]]:
    """The union of both masks, with the first's answer settings, and metadata; raises ArtifactError.

    Its answers carry no confidence: the first's was measured on answers of another vector.
    """
    a, b = first.vector, second.vector
    if (a.model, a.program) != (b.model, b.program):
        raise ArtifactError(f"{first.task} and {second.task} are of different models or programs")
    encoder, encoder_mask = _union(a.encoder_value, a.encoder_mask, b.encoder_value, b.encoder_mask)
    decoder, decoder_mask = _union(a.decoder_value, a.decoder_mask, b.decoder_value, b.decoder_mask)
    answer = replace(a.answer, confidence=None)
    vector = TaskVector(encoder, encoder_mask, decoder, decoder_mask, a.program, a.model, answer)
    return vector, describe_composition(first, second)


def describe_composition(first: Artifact, second: Artifact) -> dict[str, str]:
    """Metadata of a composition: what its parts share, or both with a plus."""
    shared = {
        name: JOINER.join(dict.fromkeys([first.metadata[name], second.metadata[name]]))
        for name in ("granularity", "seed", "prompts", "dataset")
    }
    return shared | {
        "task": f"{first.task}{JOINER}{second.task}",
        "description": f"Both of: {first.description} {second.description}",
        "method": "compose",
        "parts": f"{first.hash} {second.hash}",
        "metric": json.dumps({"name": None, "value": None}),
        **made_now(),
    }


def _union(a: Tensor, a_mask: Tensor, b: Tensor, b_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Values [L,N,H,d] and masks [L,N,H] of two vectors -> those of both."""
    writers = a_mask.int() + b_mask.int()
    total = a * a_mask[..., None] + b * b_mask[..., None]
    return total / writers.clamp(min=1)[..., None], torch.logical_or(a_mask, b_mask)
