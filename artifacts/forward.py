"""The frozen model on episodes, offline: batched, any override, any answer settings."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from artifacts.data.episodes import Episodes, to_pixels
from engine.geometry import WHITE, Geometry, Pixels, Quadrant
from engine.mae import Edit
from engine.model import MaeVqgan
from engine.overrides import write
from engine.program import Scope
from engine.refine import refine_batch
from engine.refine_picture import refine
from engine.task_vector import ONE_BY_ONE, AnswerSettings, TaskVector
from engine.threshold import cut

BATCH = 32


def to_planes(pixels: Pixels, device: torch.device) -> Tensor:
    """uint8 [B,H,W,3] -> float [B,3,H,W] in [0, 1]."""
    return torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 255


def device_of(model: MaeVqgan) -> torch.device:
    """Where the model's values are."""
    return model.vae.codebook.device


def one_shot_input(geometry: Geometry, episodes: Episodes) -> Pixels:
    """Canvases with an empty answer."""
    return geometry.canvas(episodes.example_input, episodes.example_output, episodes.query)


@torch.inference_mode()
def run_logits(
    model: MaeVqgan, name: str, pixels: Pixels, edits: tuple[Edit | None, Edit | None] = (None, None)
) -> Tensor:
    """uint8 canvases or tiles of one batch -> float32 logits of the answer's patches [B,half*half,codes]."""
    planes = model.normalise(to_planes(pixels, device_of(model)))
    return model.logits(name, planes, *edits, scope=Scope.ANSWER).float()


def vector_edits(vector: TaskVector, device: torch.device) -> tuple[Edit, Edit]:
    """The overrides of one task vector, the same for every row."""
    return (
        write(vector.encoder_value.to(device), vector.encoder_mask.to(device)),
        write(vector.decoder_value.to(device), vector.decoder_mask.to(device)),
    )


def episode_logits(model: MaeVqgan, episodes: Episodes, vector: TaskVector | None, *, one_shot: bool) -> Tensor:
    """Answer logits of all episodes: classic prompt, or query alone with or without a vector."""
    edits = vector_edits(vector, device_of(model)) if vector is not None else (None, None)
    parts = []
    for part in batches(episodes):
        pixels = one_shot_input(model.geometry, part) if one_shot else model.geometry.query_tile(part.query)
        parts.append(run_logits(model, "one_shot" if one_shot else "zero_shot", pixels, edits))
    return torch.cat(parts)


@torch.inference_mode()
def answers(model: MaeVqgan, logits: Tensor, queries: Pixels, settings: AnswerSettings) -> Pixels:
    """Answer logits [N,P,codes] and queries uint8 [N,H,W,3] -> answers uint8 [N,H,W,3], as the service paints them."""
    return refined(decoded(model, logits, settings.temperature), queries, settings, device_of(model))


@torch.inference_mode()
def decoded(model: MaeVqgan, logits: Tensor, temperature: float) -> Pixels:
    """Answer logits [N,P,codes] -> answers as decoded, uint8 [N,cell,cell,3]."""
    return np.concatenate([to_pixels(answer_cells(model, part, temperature)) for part in logits.split(BATCH)])


@torch.inference_mode()
def refined(painted: Pixels, queries: Pixels, settings: AnswerSettings, device: torch.device) -> Pixels:
    """Answers uint8 [N,cell,cell,3] refined by their queries uint8 [N,H,W,3], at the queries' size.

    With a threshold in the settings: cut to black and white.
    """
    if device.type == "cpu" or settings.refine in ONE_BY_ONE:
        out = [refine(cell, query, settings) for cell, query in zip(painted, queries, strict=True)]
    else:
        out = [picture for part in _refined_batches(painted, queries, settings, device) for picture in part]
    return np.stack(out if settings.threshold is None else [cut(picture, settings.threshold) for picture in out])


def _refined_batches(
    painted: Pixels, queries: Pixels, settings: AnswerSettings, device: torch.device
) -> Iterator[Pixels]:
    for start in range(0, len(painted), BATCH):
        rows = slice(start, start + BATCH)
        cells, guides = to_planes(painted[rows], device), to_planes(queries[rows], device)
        yield to_pixels(refine_batch(cells, guides, settings))


def answer_cells(model: MaeVqgan, logits: Tensor, temperature: float) -> Tensor:
    """Answer logits [B,P,codes] -> cells [B,3,cell,cell] in [0, 1], decoded alone."""
    vectors = model.expected(logits, temperature) if temperature > 0 else model.likeliest(logits)
    half = model.geometry.half
    return model.answer_cell(model.vae.decode_vectors(vectors, half, half))


@torch.inference_mode()
def answer_codes(model: MaeVqgan, truths: Pixels) -> Tensor:
    """The tokenizer's codes of true answers uint8 [N,cell,cell,3], each on its white tile: int64 [N,half*half]."""
    geometry, out = model.geometry, []
    rows, columns = geometry.cell_in_tile(Quadrant.ANSWER)
    for start in range(0, len(truths), BATCH):
        part = truths[start : start + BATCH]
        tiles = np.full((len(part), geometry.tile, geometry.tile, 3), WHITE, np.uint8)
        tiles[:, rows, columns] = part
        out.append(model.vae.encode(to_planes(tiles, device_of(model)) * 2 - 1))
    return torch.cat(out)


def batches(episodes: Episodes, size: int = BATCH) -> Iterator[Episodes]:
    """Episodes in runs of `size`."""
    for start in range(0, len(episodes), size):
        yield episodes.part(slice(start, start + size))
