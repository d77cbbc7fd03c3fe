"""Every way to search: the published settings, restriction, other objectives, baselines, floors, several tasks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from artifacts import progress
from artifacts.collect.heads import Selection
from artifacts.data.episodes import Episodes, make_episodes
from artifacts.data.scenes import Scenes
from artifacts.errors import OfflineError
from artifacts.resume import Checkpoint
from artifacts.search.best import METHODS, SearchData, search
from artifacts.search.causal import CHUNK, CausalSearch
from artifacts.search.gates import GateSearch
from artifacts.search.granularity import Variables
from artifacts.search.loop import Loop, Watch
from artifacts.search.run import Search
from artifacts.search.runner import SingleRunner
from artifacts.search.settings import method_settings
from artifacts.tasks import TASKS
from engine.model import MaeVqgan
from engine.task_vector import site_shapes
from tests.support import TINY

QUIET = Watch(lambda _: None)


@pytest.fixture(scope="module")
def model() -> MaeVqgan:
    torch.manual_seed(0)
    return MaeVqgan(TINY).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    draw = np.random.default_rng(0)
    masks = np.zeros((6, 111, 111), np.uint8)
    masks[:, 30:80, 20:70] = 1
    return Scenes(draw.integers(0, 256, (6, 111, 111, 3), dtype=np.uint8), masks)


def data(model: MaeVqgan, scenes: Scenes, task: str = "segmentation", seed: int = 1) -> SearchData:
    draw = torch.Generator().manual_seed(seed)
    shapes = site_shapes(TINY.mae, model.program("zero_shot"))
    values = (torch.randn(shapes["encoder"], generator=draw), torch.randn(shapes["decoder"], generator=draw))
    episodes = make_episodes(scenes, TASKS[task], 6, 0)
    return SearchData(TASKS[task], values, episodes, episodes.part(slice(3)))


@pytest.mark.parametrize(
    "several", [pytest.param(False, id="one task"), pytest.param(True, id="several", marks=pytest.mark.slow)]
)
def test_the_mask_that_does_best_on_validation_episodes_is_kept(model: MaeVqgan, scenes: Scenes, several: bool) -> None:
    """Without a step the candidates are the first draws of the seed."""
    tasks = ("segmentation", "identity") if several else ("segmentation",)
    parts = []
    for task in tasks:
        part = data(model, scenes, task)
        parts.append(replace(part, validation=replace(part.validation, answer=255 - part.validation.answer)))
    settings = method_settings("reinforce", steps=0, seed=1)
    runs = [Search(model, part.task, part.values, settings) for part in parts]
    candidates = runs[0].candidates()

    def choice(which: str) -> int:
        total = torch.zeros(len(candidates), dtype=torch.float64)
        nothing = torch.zeros(1, candidates.shape[1])
        for run, part in zip(runs, parts, strict=True):
            episodes: Episodes = getattr(part, which)
            bare = run.losses(nothing, episodes) if several else torch.zeros(1)
            total += (run.losses(candidates, episodes) - bare) / (bare.abs() if several else 1)
        return int(total.argmin())

    assert choice("train") != choice("validation")
    found = search(model, "f", parts, settings, QUIET)
    encoder, decoder = runs[0].variables.expand(candidates[choice("validation")][None].bool())
    for each in found:
        assert torch.equal(each.vector.encoder_mask, encoder[:, 0])
        assert torch.equal(each.vector.decoder_mask, decoder[:, 0])


def test_the_published_settings() -> None:
    """500 steps of 320 samples over 10 images, each answering one: 160,000 evaluations."""
    settings = method_settings("reinforce", published=True)
    assert (settings.steps, settings.samples, settings.images, settings.rate) == (500, 320, 10, 0.1)
    assert (settings.initial_logit, settings.evaluate_every, settings.paired) == (-1.0, 50, True)
    assert method_settings("reinforce", published=True, steps=7).steps == 7


def test_paired_samples_answer_one_query_each(model: MaeVqgan, scenes: Scenes) -> None:
    part = data(model, scenes)
    run = Search(model, part.task, part.values, method_settings("reinforce", published=True, samples=5, images=3))
    samples = run.sample(5)
    state = run.state()
    losses = run.sampled_losses(samples, part.train)
    assert run.evaluations == 5
    run.restore(state)
    index = run.draw.choice(6, 3, replace=False)
    alone = [run.losses(samples[i : i + 1], part.train.part(index[[i % 3]])) for i in range(5)]
    torch.testing.assert_close(losses, torch.cat(alone), rtol=2e-2, atol=1e-3)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
@pytest.mark.parametrize("method", ["reinforce", "gates", "all"])
def test_a_restricted_search_writes_one_part(model: MaeVqgan, scenes: Scenes, part: str, method: str) -> None:
    settings = method_settings(method, restrict=part, steps=1, initial_logit=3.0)
    vector = search(model, "f", [data(model, scenes)], settings, QUIET)[0].vector
    written = {"encoder": vector.encoder_mask.any(), "decoder": vector.decoder_mask.any()}
    assert written[part]
    assert not written["decoder" if part == "encoder" else "encoder"]


def test_restriction_keeps_the_order_of_variables(model: MaeVqgan) -> None:
    program = model.program("zero_shot")
    both = Variables(TINY.mae, program, "group")
    encoder, decoder = (Variables(TINY.mae, program, "group", part) for part in ("encoder", "decoder"))
    assert encoder.count + decoder.count == both.count
    mask = torch.rand(1, both.count) < 0.5
    wanted = both.expand(mask)
    assert torch.equal(encoder.expand(mask[:, : encoder.count])[0], wanted[0])
    assert torch.equal(decoder.expand(mask[:, encoder.count :])[1], wanted[1])


def test_the_token_objective_is_cross_entropy_to_the_truths_codes(model: MaeVqgan, scenes: Scenes) -> None:
    part = data(model, scenes)
    run = Search(model, part.task, part.values, method_settings("reinforce", objective="token"))
    codes = run.true_codes(part.train, np.arange(6))
    assert codes is not None
    gates = GateSearch(model, part.task, part.values, method_settings("gates", objective="token"))
    masks = run.sample(2)
    losses = run.losses(masks, part.train, codes)
    for row, loss in zip(masks, losses, strict=True):
        with torch.no_grad():
            wanted = gates.loss(row.expand(6, -1), part.train, codes)
        torch.testing.assert_close(loss, wanted.double(), rtol=1e-4, atol=1e-4)


def test_causal_effects_order_a_greedy_choice(model: MaeVqgan, scenes: Scenes) -> None:
    """Losses that add up: what helps is chosen, the rest is not."""

    class Counted(CausalSearch):
        def losses(self, samples: torch.Tensor, queries: Episodes, codes: torch.Tensor | None = None) -> torch.Tensor:
            return (samples[:, 4:].sum(1) - samples[:, :4] @ torch.tensor([1.0, 4, 3, 2])).double()

    part = data(model, scenes)
    run = Counted(model, part.task, part.values, method_settings("causal"))
    count = run.variables.count
    for _ in range(-(-count // CHUNK)):
        run.step(part.train)
    assert run.alone.argsort(stable=True)[:4].tolist() == [1, 2, 3, 0]
    for _ in range(count):
        run.step(part.train)
    assert run.candidates()[0].nonzero()[:, 0].tolist() == [0, 1, 2, 3]
    assert run.steps == -(-count // CHUNK) + count


def test_floors_take_no_steps(model: MaeVqgan, scenes: Scenes) -> None:
    found = {
        name: search(model, "f", [data(model, scenes)], method_settings(name), QUIET)[0] for name in ("all", "random")
    }
    shapes = site_shapes(TINY.mae, model.program("zero_shot"))
    every = sum(int(np.prod(shape[:3])) for shape in shapes.values())
    assert found["all"].vector.sites == every
    assert 0 < found["random"].vector.sites < every
    assert all(one.cost.evaluations == 0 for one in found.values())


def test_tuned_values_move_and_are_kept_only_if_better(model: MaeVqgan, scenes: Scenes) -> None:
    part = data(model, scenes, "colorization")
    settings = method_settings("gates", tune_values=True, steps=5)
    run = GateSearch(model, part.task, part.values, settings)
    runner = SingleRunner(run, part.train, part.validation)
    loop = Loop(runner, "c", Checkpoint(None, ""), QUIET)
    mask = loop.run()
    tuned = loop.values is not loop.start
    assert tuned != torch.equal(run.values[0], part.values[0])
    with_start = GateSearch(model, part.task, part.values, settings).losses(mask[None], part.validation)
    assert float(runner.score(mask[None])[0]) <= float(with_start[0])


def test_the_best_of_all_evaluations_is_kept(model: MaeVqgan, scenes: Scenes) -> None:
    part = data(model, scenes)
    run = Search(
        model, part.task, part.values, method_settings("reinforce", steps=6, evaluate_every=2, samples=4, images=2)
    )
    seen: list[float] = []

    class Watched(SingleRunner):
        def score(self, masks: torch.Tensor) -> torch.Tensor:
            losses = super().score(masks)
            seen.append(float(losses.min()))
            return losses

    loop = Loop(Watched(run, part.train, part.validation), "s", Checkpoint(None, ""), QUIET)
    mask = loop.run()
    assert len(seen) == 3
    assert loop.loss == min(seen)
    assert float(run.losses(mask[None], part.validation)[0]) == pytest.approx(min(seen), rel=1e-3)


@pytest.mark.parametrize(
    "method", ["reinforce", *(pytest.param(name, marks=pytest.mark.slow) for name in ("gates", "causal", "several"))]
)
def test_an_interrupted_search_goes_on_to_the_same_numbers(
    model: MaeVqgan, scenes: Scenes, tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [data(model, scenes), data(model, scenes, "inpaint", 2)] if method == "several" else [data(model, scenes)]
    monkeypatch.setattr(progress, "LINE_EVERY", 2)
    own = {"gates": {"tune_values": True, "samples": 4}, "causal": {"images": 1}}
    chosen = own.get(method, {"samples": 4, "images": 2})
    name = "reinforce" if method == "several" else method
    settings = method_settings(name, steps=5, evaluate_every=2, **chosen)
    path = tmp_path / "checkpoint"

    def stop(line: str) -> None:
        if "step 4/" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(model, "f", parts, settings, Watch(stop, path))
    lines: list[str] = []
    resumed = search(model, "f", parts, settings, Watch(lines.append, path))
    whole = search(model, "f", parts, settings, QUIET)
    assert "goes on after step 3" in lines[0]
    for one, other in zip(resumed, whole, strict=True):
        assert torch.equal(one.vector.encoder_value, other.vector.encoder_value)
        assert torch.equal(one.vector.encoder_mask, other.vector.encoder_mask)
        assert torch.equal(one.vector.decoder_value, other.vector.decoder_value)
        assert torch.equal(one.vector.decoder_mask, other.vector.decoder_mask)
        assert (one.cost.steps, one.cost.evaluations) == (other.cost.steps, other.cost.evaluations)
        assert one.cost.selection_evaluations == other.cost.selection_evaluations
    lines.clear()
    search(model, "f", parts, method_settings(name, steps=1, **chosen, seed=1), Watch(lines.append, path))
    assert not any("goes on" in line for line in lines)


def test_scalars_for_tensorboard(model: MaeVqgan, scenes: Scenes, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    settings = method_settings("reinforce", steps=3, evaluate_every=2, samples=4, images=2)
    search(model, "f", [data(model, scenes)], settings, Watch(lambda _: None, None, tmp_path))
    events = accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    assert [event.step for event in events.Scalars("search/loss")] == [1, 2, 3]
    assert [event.step for event in events.Scalars("search/validation_loss")] == [2]
    assert set(events.Tags()["scalars"]) >= {"search/probability", "search/on"}


def test_one_mask_for_several_tasks(model: MaeVqgan, scenes: Scenes) -> None:
    both = [data(model, scenes), data(model, scenes, "inpaint", 2)]
    settings = method_settings("reinforce", steps=2, samples=6)
    found = search(model, "f", both, settings, QUIET)
    assert torch.equal(found[0].vector.encoder_mask, found[1].vector.encoder_mask)
    assert torch.equal(found[0].vector.decoder_mask, found[1].vector.decoder_mask)
    for one, part in zip(found, both, strict=True):
        assert torch.equal(one.vector.encoder_value, part.values[0])
    assert found[0].cost.evaluations == 2 * 6 * settings.images
    with pytest.raises(OfflineError, match="several tasks goes with --method reinforce"):
        search(model, "f", both, method_settings("gates"), QUIET)


def test_unique_prompts_repeat_no_scene(scenes: Scenes) -> None:
    episodes = make_episodes(scenes, TASKS["segmentation"], 24, 0)
    order = np.random.default_rng(0).permutation(24)
    chosen = Selection(100, "unique").choose(episodes, order)
    assert episodes.scenes is not None
    for column in (0, 1):
        used = episodes.scenes[chosen, column].tolist()
        assert len(set(used)) == len(used)
    assert order[0] in chosen
    assert Selection(3).choose(episodes, order).tolist() == sorted(order[:3].tolist())
    with pytest.raises(OfflineError, match="none of best, unique, random"):
        Selection(3, "worst")


def test_every_method_has_settings() -> None:
    assert {name: method_settings(name).method for name in METHODS} == {name: name for name in METHODS}
