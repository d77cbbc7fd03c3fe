"""The two programs' bookkeeping, and zero-shot as a cut of one-shot."""

import torch

from engine.geometry import Geometry, Quadrant
from engine.model import MaeVqgan
from engine.program import Scope, one_shot, zero_shot
from tests.support import TINY

GEOMETRY = Geometry()
ONE, ZERO = one_shot(GEOMETRY), zero_shot(GEOMETRY)


def test_token_counts() -> None:
    assert (ONE.encoder_tokens, ONE.decoder_tokens) == (148, 197)
    assert (ZERO.encoder_tokens, ZERO.decoder_tokens) == (50, 99)


def test_answer_positions_are_the_answer_quadrant() -> None:
    for program in (ONE, ZERO):
        assert tuple(program.covered[i] for i in program.answer) == GEOMETRY.quadrant_patches[Quadrant.ANSWER]


def test_order_puts_each_visible_token_at_its_place_and_the_mask_token_elsewhere() -> None:
    for program in (ONE, ZERO):
        order = program.order().tolist()
        assert order[0] == 0
        for patch, source in zip(program.covered, order[1:], strict=True):
            if patch in program.visible:
                assert program.visible[source - 1] == patch
            else:
                assert source == program.encoder_tokens
        assert order.count(program.encoder_tokens) == 49


def test_groups_partition_the_tokens() -> None:
    for program, sizes in ((ONE, ((1, 49, 49, 49), (1, 49, 49, 49, 49))), (ZERO, ((1, 49), (1, 49, 49)))):
        for groups, tokens, wanted in zip(
            (program.encoder_groups, program.decoder_groups),
            (program.encoder_tokens, program.decoder_tokens),
            sizes,
            strict=True,
        ):
            assert tuple(len(group) for group in groups) == wanted
            assert sorted(token for group in groups for token in group) == list(range(tokens))


def test_zero_shot_groups_are_query_and_answer() -> None:
    query = tuple(ZERO.covered[token - 1] for token in ZERO.decoder_groups[1])
    assert query == GEOMETRY.quadrant_patches[Quadrant.QUERY]


def random_model() -> MaeVqgan:
    torch.manual_seed(3)
    return MaeVqgan(TINY).eval().requires_grad_(False)


def test_decoding_stacks_a_half_canvas_on_itself() -> None:
    model = random_model()
    vectors = torch.randn(2, 98, 8)
    full = model.decode("one_shot", torch.cat([vectors, vectors], 1), Scope.CANVAS)
    assert torch.equal(model.decode("zero_shot", vectors, Scope.CANVAS), full)
    assert full.shape == (2, 3, 224, 224)


def test_both_scopes_give_the_answer_cell() -> None:
    model = random_model()
    for scope, patches, side in ((Scope.CANVAS, 98, 224), (Scope.ANSWER, 49, 112)):
        decoded = model.decode("zero_shot", torch.randn(1, patches, 8), scope)
        assert decoded.shape == (1, 3, side, side)
        assert torch.equal(model.answer_cell(decoded), decoded[..., side - 111 :, side - 111 :])


def test_temperature_chooses_per_row() -> None:
    model = random_model()
    logits = torch.randn(2, 49, 64)
    vectors = model.vectors(logits, torch.tensor([0.0, 1.0]))
    assert torch.equal(vectors[0], model.vae.codebook[logits[0].argmax(-1)])
    expected = torch.softmax(logits[1], -1) @ model.vae.codebook
    assert torch.allclose(vectors[1], expected, atol=1e-6)
    assert torch.allclose(model.vectors(logits, torch.full((2,), 1e-3))[0], vectors[0], atol=1e-4)


def test_answer_logits_are_those_of_the_answer() -> None:
    model = random_model()
    pixels = torch.rand(2, 3, 112, 112)
    every = model.logits("zero_shot", pixels)
    assert every.shape == (2, 98, 64)
    answer = model.logits("zero_shot", pixels, scope=Scope.ANSWER)
    assert torch.allclose(answer, every[:, list(ZERO.answer)], atol=1e-5)


def test_of_codes_that_are_alike_likely_the_first_is_taken() -> None:
    model = random_model()
    logits = torch.zeros(1, 3, 64)
    logits[0, 1, [5, 9]] = 2.0
    vectors = model.vectors(logits, torch.zeros(1))
    assert torch.equal(vectors[0], model.vae.codebook[[0, 5, 0]])
