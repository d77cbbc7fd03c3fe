"""Writing head outputs: exact where asked, invisible elsewhere, per row."""

import pytest
import torch
from torch import Tensor

from engine.mae import Edit
from engine.model import MaeVqgan
from engine.overrides import record, write, write_slots
from engine.task_vector import site_shapes
from tests.support import TINY


@pytest.fixture(scope="module")
def model() -> MaeVqgan:
    torch.manual_seed(5)
    return MaeVqgan(TINY).eval().requires_grad_(False)


@pytest.fixture
def pixels() -> Tensor:
    return torch.randn(3, 3, 112, 112, generator=torch.Generator().manual_seed(6))


def random_sites(model: MaeVqgan, part: str, seed: int, share: float) -> tuple[Tensor, Tensor]:
    shape = site_shapes(TINY.mae, model.program("zero_shot"))[part]
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator), torch.rand(shape[:3], generator=generator) < share


def run(model: MaeVqgan, pixels: Tensor, encoder: Edit | None, decoder: Edit | None) -> Tensor:
    return model.logits("zero_shot", pixels, encoder, decoder)


def test_an_all_false_mask_is_the_plain_model(model: MaeVqgan, pixels: Tensor) -> None:
    edits = [write(*random_sites(model, part, 1, 0.0)) for part in ("encoder", "decoder")]
    assert torch.equal(run(model, pixels, *edits), run(model, pixels, None, None))


def test_an_all_true_mask_forgets_the_input(model: MaeVqgan, pixels: Tensor) -> None:
    """With every decoder head written, rows differ only through what the encoder leaves at visible places."""
    edits = [write(*random_sites(model, part, 1, 1.1)) for part in ("encoder", "decoder")]
    seen: list[Tensor] = []

    def after(block: int, heads: Tensor) -> Tensor:
        written = edits[1](block, heads)
        seen.append(written)
        return written

    run(model, pixels, edits[0], after)
    value = random_sites(model, "decoder", 1, 1.1)[0]
    for block, heads in enumerate(seen):
        assert torch.equal(heads, value[block].expand_as(heads))


def test_writing_a_mean_projects_to_the_mean_of_projections(model: MaeVqgan, pixels: Tensor) -> None:
    """W_h mean(x_h) + b is mean(W_h x_h + b): the value that the public code records and injects."""
    recorded: list[Tensor] = []
    run(model, pixels, record(recorded), None)
    layer = model.mae.blocks[0].get_submodule("attn.proj")
    heads = recorded[0]
    each = layer(heads.flatten(2))
    assert torch.allclose(layer(heads.mean(0, keepdim=True).flatten(2))[0], each.mean(0), atol=1e-6)


def test_heads_keep_their_type() -> None:
    """float32 values written over the heads of a model in half precision."""
    heads = torch.zeros(2, 3, 2, 4, dtype=torch.float16)
    value, mask = torch.full((1, 3, 2, 4), 0.1), torch.ones(1, 3, 2, dtype=torch.bool)
    banked = write_slots(value[:, None], mask[:, None, ..., None], torch.tensor([0, 0]))
    for edit in (write(value, mask), banked):
        assert torch.equal(edit(0, heads), torch.full_like(heads, 0.1))


def test_recording_changes_nothing_and_sees_every_block(model: MaeVqgan, pixels: Tensor) -> None:
    encoder: list[Tensor] = []
    decoder: list[Tensor] = []
    assert torch.equal(run(model, pixels, record(encoder), record(decoder)), run(model, pixels, None, None))
    shapes = site_shapes(TINY.mae, model.program("zero_shot"))
    assert tuple(torch.stack(encoder).shape) == (shapes["encoder"][0], 3, *shapes["encoder"][1:])
    assert tuple(torch.stack(decoder).shape) == (shapes["decoder"][0], 3, *shapes["decoder"][1:])


def test_written_sites_hold_the_value_and_others_their_own(model: MaeVqgan, pixels: Tensor) -> None:
    value, mask = random_sites(model, "encoder", 2, 0.5)
    own: list[Tensor] = []
    written: list[Tensor] = []

    def edit(block: int, heads: Tensor) -> Tensor:
        own.append(heads)
        written.append(write(value, mask)(block, heads))
        return written[-1]

    run(model, pixels, edit, None)
    for block, (before, after) in enumerate(zip(own, written, strict=True)):
        here = mask[block].expand(3, -1, -1)
        assert torch.equal(after[here], value[block].expand_as(after)[here])
        assert torch.equal(after[~here], before[~here])


def test_row_k_uses_vector_k(model: MaeVqgan, pixels: Tensor) -> None:
    """Per-row masks and values, and the bank's rows by slot, give each row what it gets alone."""
    vectors = [[random_sites(model, part, seed, 0.4) for part in ("encoder", "decoder")] for seed in (10, 20, 30)]
    rows = [torch.stack([vector[part][i] for vector in vectors], 1) for part in (0, 1) for i in (0, 1)]
    slot = torch.tensor([2, 0, 1])
    per_row = run(model, pixels, write(rows[0], rows[1]), write(rows[2], rows[3]))
    banked = run(
        model, pixels, write_slots(rows[0], rows[1][..., None], slot), write_slots(rows[2], rows[3][..., None], slot)
    )
    for row in range(3):
        alone = run(model, pixels[row : row + 1], *(write(*part) for part in vectors[row]))
        assert torch.allclose(per_row[row], alone[0], atol=1e-5)
        by_slot = run(model, pixels[row : row + 1], *(write(*part) for part in vectors[int(slot[row])]))
        assert torch.allclose(banked[row], by_slot[0], atol=1e-5)
    assert not torch.allclose(per_row[0], banked[0], atol=1e-3)
