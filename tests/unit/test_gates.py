"""Gradient search and pruning: the gates' forward pass and gradient, finding what pays, and what may be dropped."""

import numpy as np
import pytest
import torch

from artifacts.data.episodes import Episodes, make_episodes
from artifacts.data.scenes import Scenes
from artifacts.errors import OfflineError
from artifacts.forward import run_logits
from artifacts.search.best import SearchData, search
from artifacts.search.gates import GateSearch
from artifacts.search.loop import Watch
from artifacts.search.passes import gated
from artifacts.search.prune import prune
from artifacts.search.settings import method_settings
from artifacts.tasks import TASKS
from engine.model import MaeVqgan
from engine.overrides import write
from engine.task_vector import site_shapes
from tests.support import TINY


@pytest.fixture(scope="module")
def model() -> MaeVqgan:
    torch.manual_seed(0)
    return MaeVqgan(TINY).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def train() -> Episodes:
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (6, 111, 111, 3), dtype=np.uint8)
    masks = np.zeros((6, 111, 111), np.uint8)
    masks[:, 30:80, 20:70] = 1
    return make_episodes(Scenes(pictures, masks), TASKS["segmentation"], 6, 0)


def values(model: MaeVqgan) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    shapes = site_shapes(TINY.mae, model.program("zero_shot"))
    return torch.randn(shapes["encoder"], generator=draw), torch.randn(shapes["decoder"], generator=draw)


def test_a_gate_writes_as_the_override_does_and_knows_its_gradient() -> None:
    draw = torch.Generator().manual_seed(0)
    value, heads = torch.randn(1, 5, 2, 4, generator=draw), torch.randn(3, 5, 2, 4, generator=draw)
    mask = torch.rand(1, 3, 5, 2, generator=draw) < 0.5
    slope = torch.zeros(1, 5, 2, requires_grad=True)
    out = gated(value, mask, slope)(0, heads)
    assert torch.equal(out, write(value[:, None], mask)(0, heads))
    out.sum().backward()
    torch.testing.assert_close(slope.grad, (value - heads[None]).sum((1, 4)))


@pytest.mark.parametrize("objective", ["pixel", "token"])
def test_a_step_moves_the_gates_down_their_gradient(model: MaeVqgan, train: Episodes, objective: str) -> None:
    run = GateSearch(model, TASKS["segmentation"], values(model), method_settings("gates", objective=objective))
    before = run.logits.detach().clone()
    assert np.isfinite(run.step(train))
    assert run.logits.grad is not None
    moved = run.logits.grad.abs() > 1e-6
    assert moved.float().mean() > 0.5
    assert (torch.sign(before - run.logits.detach())[moved] == torch.sign(run.logits.grad[moved])).all()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_step_in_pieces_is_the_step(model: MaeVqgan, train: Episodes) -> None:
    """Five rows at once, or two, two and one: the loss, and the gradients of gates and values."""
    settings = method_settings("gates", samples=5, tune_values=True, regularisation=0.1)
    whole, parted = (GateSearch(model, TASKS["segmentation"], values(model), settings) for _ in range(2))
    parted.pieces.rows = 2
    assert whole.step(train) == pytest.approx(parted.step(train), rel=1e-3)  # in bfloat16, where there is
    for one, other in zip((whole.logits, *whole.values), (parted.logits, *parted.values), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=0.05 * float(one.grad.abs().max()))


def test_gates_find_what_pays(model: MaeVqgan, train: Episodes) -> None:
    """The answer to reach is the one that four known variables paint: the search must lower that distance."""
    settings = method_settings("gates", steps=30, granularity="head", objective="token")
    run = GateSearch(model, TASKS["segmentation"], values(model), settings)
    wanted = torch.zeros(6, run.variables.count)
    wanted[:, :3] = 1
    painted = _codes(run, wanted, train)
    run.codes = painted

    def distance() -> float:
        with torch.no_grad():
            return float(run.loss((run.logits > 0).float().expand(6, -1), train, painted))

    before = distance()
    for _ in range(settings.steps):
        run.step(train)
    assert distance() < before


def _codes(run: GateSearch, samples: torch.Tensor, train: Episodes) -> torch.Tensor:
    masks = run.variables.expand(samples.bool())
    edits = [write(v[:, None], m) for v, m in zip(run.values, masks, strict=True)]
    tiles = run.model.geometry.query_tile(train.query)
    return run_logits(run.model, "zero_shot", tiles, (edits[0], edits[1])).argmax(-1).clone()


def test_a_search_by_gates_ends_in_a_vector_that_fits(model: MaeVqgan, train: Episodes) -> None:
    settings = method_settings("gates", steps=2, prune=0.5)
    lines: list[str] = []
    data = SearchData(TASKS["segmentation"], values(model), train, train)
    found = search(model, "f", [data], settings, Watch(lines.append))[0]
    found.vector.check(TINY.mae, model.program("zero_shot"), "f")
    assert "variables within 50.0%" in lines[-1]
    assert (found.cost.steps, found.cost.evaluations) == (2, 32)
    assert found.cost.selection_evaluations >= 8 * len(train)


def test_pruning_keeps_what_matters() -> None:
    weights = torch.tensor([4.0, 0.01, 3.0, 0.02, 0.0, 2.0])

    def losses(samples: torch.Tensor) -> torch.Tensor:
        return -(samples @ weights)

    chosen = torch.tensor([1.0, 1, 1, 1, 1, 0])
    assert prune(losses, chosen, 0.01).tolist() == [1, 0, 1, 0, 0, 0]
    assert prune(losses, chosen, 0.0).tolist() == [1, 1, 1, 1, 0, 0]
    assert prune(losses, torch.zeros(6), 0.0).tolist() == [0] * 6


def test_options_that_do_not_go_together() -> None:
    assert method_settings("gates", steps=None).steps == 100
    assert method_settings("reinforce", steps=7).steps == 7
    assert method_settings("reinforce", objective="token").objective == "token"
    with pytest.raises(OfflineError, match="--method reinforce or gates"):
        method_settings("causal", objective="token")
    with pytest.raises(OfflineError, match="--tune-values goes with --method gates"):
        method_settings("reinforce", tune_values=True)
    with pytest.raises(OfflineError, match="--published goes with --method reinforce"):
        method_settings("gates", published=True)
    with pytest.raises(OfflineError, match="--samples must be 2 or more"):
        method_settings("reinforce", samples=1)
    with pytest.raises(OfflineError, match="--prune"):
        method_settings("gates", prune=-1.0)
