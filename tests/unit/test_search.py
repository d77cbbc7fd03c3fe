"""Search variables, the search itself on a problem with a known answer, collect, and metrics."""

import numpy as np
import pytest
import torch

from artifacts.collect.heads import Selection, collect
from artifacts.collect.means import Means
from artifacts.data.episodes import Episodes, make_episodes
from artifacts.data.scenes import Scenes
from artifacts.search.granularity import Variables
from artifacts.search.run import CANDIDATES, Search
from artifacts.search.settings import SearchSettings
from artifacts.tasks import COMPOSITES, TASKS
from artifacts.tasks.scene import hole_masks
from engine.config import MaeConfig, ModelConfig, VqganConfig
from engine.geometry import Geometry
from engine.model import MaeVqgan
from engine.program import one_shot, zero_shot

TINY = ModelConfig(
    "tiny",
    MaeConfig(width=32, depth=2, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2, codes=64),
    VqganConfig(codes=64, code_width=4, z_channels=32, ch=32, ch_mult=(1, 1, 1), res_blocks=1, stem=4),
)


@pytest.fixture(scope="module")
def model() -> MaeVqgan:
    torch.manual_seed(0)
    return MaeVqgan(TINY).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (12, 111, 111, 3), dtype=np.uint8)
    masks = np.zeros((12, 111, 111), np.uint8)
    masks[:, 30:80, 20:70] = 1
    return Scenes(pictures, masks)


@pytest.mark.parametrize(("granularity", "expected"), [("head", 512), ("group", 1152), ("token", 31872)])
def test_variables_of_the_published_model(granularity: str, expected: int) -> None:
    """Counts as published for ViT-L (24 and 8 layers of 16 heads, 50 and 99 tokens)."""
    assert Variables(MaeConfig(), zero_shot(Geometry()), granularity).count == expected


def test_group_variables_cover_quadrants() -> None:
    program = zero_shot(Geometry())
    variables = Variables(TINY.mae, program, "group")
    samples = torch.zeros(1, variables.count, dtype=torch.bool)
    last = 2 * 2 * 2 + 1 * 2 * 3 - 1  # decoder block 0, head 1, the answer
    samples[0, last] = True
    encoder, decoder = variables.expand(samples)
    assert not encoder.any()
    written = decoder[0, 0, :, 1].nonzero()[:, 0].tolist()
    assert written == [1 + position for position in program.answer]
    assert not decoder[0, 0, :, 0].any()


@pytest.mark.parametrize("granularity", ["head", "group", "token"])
def test_class_tokens_are_told_from_the_rest(granularity: str) -> None:
    variables = Variables(TINY.mae, zero_shot(Geometry()), granularity)
    masks = variables.expand(variables.class_tokens()[None].bool())
    for mask, layers in zip(masks, (2, 1), strict=True):
        wanted = torch.zeros(layers, 1, mask.shape[2], 2, dtype=torch.bool)
        wanted[:, :, 0] = granularity != "head"
        assert torch.equal(mask, wanted)


def test_the_class_tokens_are_among_the_candidates(model: MaeVqgan) -> None:
    program = model.program("zero_shot")
    tokens = (program.encoder_tokens, program.decoder_tokens)
    sizes = ((2, tokens[0], 2, 16), (1, tokens[1], 2, 8))
    values = (torch.zeros(sizes[0]), torch.zeros(sizes[1]))
    run = Search(model, TASKS["identity"], values, SearchSettings())
    candidates = run.candidates()
    assert len(candidates) == CANDIDATES
    assert (candidates == run.variables.class_tokens()).all(1).any()


def test_every_site_has_one_variable() -> None:
    for granularity in ("head", "group", "token"):
        variables = Variables(TINY.mae, zero_shot(Geometry()), granularity)
        every = torch.eye(variables.count, dtype=torch.bool)
        encoder, decoder = variables.expand(every)
        assert (encoder.sum(1) == 1).all()
        assert (decoder.sum(1) == 1).all()


def test_the_search_finds_what_pays(model: MaeVqgan, scenes: Scenes) -> None:
    """The loss counts chosen variables that hurt and missed ones that help; the search must find the split."""

    class Counted(Search):
        def losses(self, samples: torch.Tensor, queries: Episodes, codes: torch.Tensor | None = None) -> torch.Tensor:
            return samples[:, 4:].sum(1) - 2 * samples[:, :4].sum(1)

    values = tuple(torch.zeros(s) for s in ((2, 50, 2, 16), (1, 99, 2, 8)))
    run = Counted(model, TASKS["identity"], (values[0], values[1]), SearchSettings("group", samples=32, images=1))
    train = make_episodes(scenes, TASKS["identity"], 2, 0)
    for _ in range(60):
        run.step(train)
    best = run.candidates()[0]
    assert best[:4].all()
    assert not best[4:].any()


def test_samples_are_rows_with_their_own_mask(model: MaeVqgan, scenes: Scenes) -> None:
    """A sample's loss does not depend on what it is batched with."""
    draw = torch.Generator().manual_seed(0)
    values = (torch.randn(2, 50, 2, 16, generator=draw), torch.randn(1, 99, 2, 8, generator=draw))
    run = Search(model, TASKS["identity"], values, SearchSettings())
    queries = make_episodes(scenes, TASKS["identity"], 3, 0)
    samples = run.sample(4)
    together = run.losses(samples, queries)
    alone = torch.cat([run.losses(row[None], queries) for row in samples])
    torch.testing.assert_close(together, alone, rtol=2e-2, atol=1e-3)
    assert together.unique().numel() == 4


def test_means_are_of_the_recorded_heads(model: MaeVqgan, scenes: Scenes) -> None:
    episodes = make_episodes(scenes, TASKS["segmentation"], 5, 0)

    def means(part: Episodes) -> Means:
        return collect(model, "f", TASKS["segmentation"], part, Selection(5), "test", lambda _: None)

    whole, parts = means(episodes), [means(episodes.part(slice(i, i + 1))) for i in range(5)]
    torch.testing.assert_close(whole.encoder, torch.stack([p.encoder for p in parts]).mean(0), rtol=1e-5, atol=1e-6)
    assert whole.decoder.shape == (1, 197, 2, 8)


def test_zero_shot_values_keep_their_patch() -> None:
    """The query's tokens move up by the example row's patches, the class token stays."""
    encoder = torch.arange(148.0).view(1, 148, 1, 1)
    decoder = torch.arange(197.0).view(1, 197, 1, 1)
    geometry = Geometry()
    values = Means(encoder, decoder, "t", "f", 1).for_program(zero_shot(geometry), one_shot(geometry))
    assert values[0].flatten().tolist() == [0, *range(99, 148)]
    assert values[1].flatten().tolist() == [0, *range(99, 197)]


def test_episodes_follow_their_task(scenes: Scenes) -> None:
    for task in (*TASKS.values(), *COMPOSITES.values()):
        episodes = make_episodes(scenes, task, 15, 3)
        again = make_episodes(scenes, task, 15, 3)
        np.testing.assert_array_equal(episodes.query, again.query)
        assert episodes.answer.shape == (15, 111, 111, 3)
    segmentation = make_episodes(scenes, TASKS["segmentation"], 4, 0)
    assert set(np.unique(segmentation.answer)) == {0, 255}
    hole = make_episodes(scenes, TASKS["inpaint"], 4, 0)
    same = (hole.query == hole.answer).all(-1).mean((1, 2))
    assert (same >= 1 - 27 * 27 / 111**2 - 1e-9).all()
    assert (same < 0.96).all()


def test_the_hole_is_a_quarter_of_the_side() -> None:
    mask = hole_masks(torch.tensor([84]), torch.tensor([0]), 111)
    assert mask.sum() == 27 * 27
    assert mask[0, 0, 110, 0] == 1
