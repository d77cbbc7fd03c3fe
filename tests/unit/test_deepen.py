"""A deepened model answers as before, until its new blocks learn."""

from pathlib import Path

import pytest
import torch

from artifacts.errors import TrainingError
from engine.checkpoint import load_model, save_model
from engine.config import MaeConfig, ModelConfig, VqganConfig
from engine.model import MaeVqgan
from training.deepen import deepened
from training.start import from_model, initialise

VQGAN = VqganConfig(codes=1024, code_width=4, z_channels=32, ch=32, ch_mult=(1, 1, 1), res_blocks=1, stem=4)
MAE = MaeConfig(width=32, depth=2, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2)


@pytest.fixture
def model() -> MaeVqgan:
    torch.manual_seed(0)
    made = MaeVqgan(ModelConfig("tiny", MAE, VQGAN))
    initialise(made.mae)
    return made.eval()


def logits(model: MaeVqgan) -> torch.Tensor:
    pixels = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    return model.logits("one_shot", model.normalise(pixels))


@pytest.mark.parametrize("blocks", [(2, 1), (3, 1), (2, 2), (5, 3)])
def test_answers_are_the_same_at_first(model: MaeVqgan, blocks: tuple[int, int]) -> None:
    deeper = deepened(model, *blocks).eval()
    assert (deeper.config.mae.depth, deeper.config.mae.decoder_depth) == blocks
    assert torch.equal(logits(deeper), logits(model))


def test_new_blocks_learn(model: MaeVqgan) -> None:
    deeper = deepened(model, 3, 1)
    logits(deeper).square().mean().backward()
    new = deeper.mae.get_parameter("blocks.2.attn.proj.weight")
    assert not bool(new.any())
    assert new.grad is not None
    assert bool(new.grad.any())


def test_blocks_are_never_taken_away(model: MaeVqgan) -> None:
    with pytest.raises(TrainingError, match="tiny has 2 encoder and 1 decoder blocks: 1 and 4 are fewer"):
        deepened(model, 1, 4)


def test_a_training_starts_from_the_deeper_model(model: MaeVqgan, tmp_path: Path) -> None:
    save_model(model, tmp_path / "model")
    deeper = from_model(tmp_path / "model", tmp_path / "run", (4, 2))
    assert deeper.config.name == "tiny-4-2"
    assert all(p.requires_grad for name, p in deeper.mae.named_parameters() if "blocks" in name)
    assert not any(p.requires_grad for p in deeper.vae.parameters())
    kept, _ = load_model(tmp_path / "model")
    assert torch.equal(logits(deeper.eval()), logits(kept.eval()))
