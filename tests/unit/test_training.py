"""Training in miniature: it learns, and a resumed run goes on where it stopped."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from artifacts.data.scenes import load_scenes
from artifacts.tasks.views import mask
from engine.checkpoint import load_model
from engine.config import MaeConfig, VqganConfig
from engine.geometry import Geometry
from training import teacher
from training.average import Average
from training.batches import Part, SceneSampler, tiles
from training.checkpoint import load_state
from training.export import export
from training.foreground import Foreground
from training.holes import LARGEST, SMALLEST, any_holes
from training.mae import MaeRun, MaeTrainer
from training.prompts import draw_prompts, draw_queries, task_pairs
from training.quantizer import AveragedCodebook
from training.schedule import cosine
from training.start import from_model, from_nothing
from training.steering import MeanHeads
from training.tokenizer import TokenizerRun, TokenizerTrainer
from training.tokenizer import report as report_tokenizer
from training.workers import Workers

VQGAN = VqganConfig(codes=1024, code_width=4, z_channels=32, ch=32, ch_mult=(1, 1, 1), res_blocks=1, stem=4)
MAE = MaeConfig(width=32, depth=1, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve scenes in VOC2012 layout: a bright square on noise."""
    root, draw = tmp_path_factory.mktemp("voc"), np.random.default_rng(0)
    for folder in ("JPEGImages", "SegmentationClassAug", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for index in range(12):
        picture = draw.integers(0, 90, (64, 64, 3), dtype=np.uint8)
        labels = np.zeros((64, 64), np.uint8)
        labels[10:40, 10 + index : 40 + index] = 3
        picture[labels > 0] = (240, 200, 40)
        Image.fromarray(picture).save(root / "JPEGImages" / f"s{index}.jpg")
        Image.fromarray(labels).save(root / "SegmentationClassAug" / f"s{index}.png")
    for split, names in (("train", range(8)), ("val", range(8, 12))):
        text = "\n".join(f"s{i}" for i in names)
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text(text)
    return root


def tokenizer_trainer(dataset: Path, out: Path) -> TokenizerTrainer:
    return TokenizerTrainer(TokenizerRun(dataset, out, VQGAN, minutes=1, batch=4), Workers())


@pytest.mark.slow
def test_tokenizer_and_mae_learn_and_resume(dataset: Path, tmp_path: Path) -> None:
    tokenizer = tokenizer_trainer(dataset, tmp_path)
    losses = [tokenizer.train_step(0.0)["loss"] for _ in range(12)]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    report_tokenizer(tokenizer)
    resumed = tokenizer_trainer(dataset, tmp_path)
    assert resumed.step == 12
    for name, value in resumed.model.state_dict().items():
        torch.testing.assert_close(value, tokenizer.model.state_dict()[name])

    run = MaeRun(((dataset, 1.0),), tmp_path / "tokenizer.pt", tmp_path, "tiny", MAE, minutes=1, batch=4)
    trainer = mae_trainer(run)
    kinds = {trainer.train_step(0.0)[0] for _ in range(8)}
    assert "vector" not in kinds, "before every pair's mean heads are known"
    trainer.means.seen += 1
    kinds = {trainer.train_step(0.0)[0] for _ in range(25)}
    assert kinds == {"one_shot", "vector", "zero_shot", "random"}
    torch.save(trainer.state(), tmp_path / "mae.pt")
    again = mae_trainer(run)
    assert again.step == 33
    torch.testing.assert_close(again.means.state(), trainer.means.state())
    mark = export(tmp_path, tmp_path / "model")
    model, loaded = load_model(tmp_path / "model")
    assert loaded == mark
    assert model.config.name == "tiny"


def test_masks_are_judged_by_their_soft_iou(dataset: Path, tmp_path: Path) -> None:
    tokenizer = tokenizer_trainer(dataset, tmp_path)
    report_tokenizer(tokenizer)
    run = MaeRun(((dataset, 1.0),), tmp_path / "tokenizer.pt", tmp_path, "tiny", MAE, minutes=1, batch=4, mask=1.0)
    trainer = mae_trainer(run)
    assert trainer.masks is not None
    assert torch.isfinite(torch.tensor([trainer.train_step(0.0)[1] for _ in range(6)])).all()
    masks = trainer.masks
    masks.brightness = torch.zeros(VQGAN.codes, 16)
    masks.brightness[7] = 1  # one code is white, the rest are black
    canvases = torch.zeros(3, 3, 224, 224)
    canvases[:, :, 112:, 112:168] = 1  # the left half of the answer, 3.5 of 7 patches
    half = torch.full((3, 49), 3)
    half.view(3, 7, 7)[:2, :, :4] = 7  # right but for half a column; the last row says nothing is white
    logits = 30.0 * torch.nn.functional.one_hot(half, VQGAN.codes)
    pairs = task_pairs()[0]
    mask_of, other = (
        next(i for i, (_, target) in enumerate(pairs) if (target is mask) == is_mask) for is_mask in (True, False)
    )
    assert float(masks.of_answers(logits, canvases, torch.tensor([mask_of] * 3))) == pytest.approx(
        (1 / 8 + 1 / 8 + 1) / 3, abs=1e-3
    )
    assert float(masks.of_answers(logits, canvases, torch.tensor([mask_of, other, other]))) == pytest.approx(
        1 / 8, abs=1e-3
    )
    assert float(masks.of_answers(logits, canvases, torch.tensor([other] * 3))) == 0


def test_the_querys_tokens_are_asked_for_its_mask(dataset: Path, tmp_path: Path) -> None:
    report_tokenizer(tokenizer_trainer(dataset, tmp_path))
    run = MaeRun(
        ((dataset, 1.0),), tmp_path / "tokenizer.pt", tmp_path, "tiny", MAE, minutes=1, batch=4, foreground=1.0
    )
    trainer = mae_trainer(run)
    before = trainer.foreground.map.weight.clone()
    trainer.train_step(0.0)
    assert not torch.equal(trainer.foreground.map.weight, before)
    foreground = Foreground(Geometry(), 1)
    torch.nn.init.constant_(foreground.map.weight, 40)
    torch.nn.init.constant_(foreground.map.bias, -20)
    masks = torch.zeros(2, 1, 111, 111)
    masks[:, :, :, :64] = 1  # the left four of seven columns of patches, but for a row of pixels above the cell
    tokens = torch.zeros(2, 7, 7, 1)
    tokens[:, :, :4] = 1
    right = foreground(tokens.flatten(1, 2), masks).detach()
    assert float(right) < 0.2
    assert float(foreground(1 - tokens.flatten(1, 2), masks).detach()) > 10


def mae_trainer(run: MaeRun) -> MaeTrainer:
    return MaeTrainer(run, Workers(), from_nothing(run.tokenizer, run.name, run.config, run.seed))


def test_decoder_only_training_leaves_the_codes_alone(dataset: Path, tmp_path: Path) -> None:
    tokenizer = tokenizer_trainer(dataset, tmp_path)
    tokenizer.train_step(0.0)
    report_tokenizer(tokenizer)
    again = TokenizerTrainer(TokenizerRun(dataset, tmp_path, VQGAN, 1, batch=4, decoder_only=True), Workers())
    before = {name: value.clone() for name, value in again.model.state_dict().items()}
    again.step = 1000
    again.train_step(0.0)
    changed = {n.split(".")[0] for n, v in again.model.state_dict().items() if not torch.equal(v, before[n])}
    assert changed == {"decoder", "post_quant_conv"}


def test_prompts_fill_all_cells_and_keep_the_cross_white(dataset: Path) -> None:
    sampler = SceneSampler(load_scenes(dataset, "train", 111), 0, 0)
    canvases = draw_prompts(sampler, Geometry(), 16).canvas
    assert canvases.shape == (16, 3, 224, 224)
    assert (canvases[:, :, 111:113] == 1).all()
    assert (canvases[:, :, :, 111:113] == 1).all()
    assert canvases.min() >= 0
    assert canvases.max() <= 1
    alone = draw_queries(sampler, Geometry(), 16).canvas
    assert (alone[:, :, :113] == 1).all()
    assert (alone[:, :, 113:] != 1).flatten(1).any(1).all()


def test_the_query_does_not_tell_the_task() -> None:
    """Every published task's query view also asks for something else."""
    pairs, weights = task_pairs()
    assert sum(weights) == pytest.approx(1)
    for source in {source for source, _ in pairs[:5]}:
        assert len({target for other, target in pairs if other is source}) > 1


def test_bare_queries_ask_for_every_pair_alike(dataset: Path) -> None:
    sampler = SceneSampler(load_scenes(dataset, "train", 111), 0, 0)
    told, bare = (draw_queries(sampler, Geometry(), 60, alike=alike).pair.bincount() for alike in (False, True))
    assert told.max() > 20  # segmentation, half of them
    assert bare.max() < 12


def test_tiles_carry_their_share_of_the_cross(dataset: Path) -> None:
    out = tiles(SceneSampler(load_scenes(dataset, "train", 111), 0, 0), Geometry(), 8)
    row = (out[:, :, 0] == 1).all((1, 2)) | (out[:, :, -1] == 1).all((1, 2))
    assert row.all()


def test_codebook_moves_to_the_data() -> None:
    torch.manual_seed(0)
    book = AveragedCodebook(4, 2, Workers())
    centres = torch.tensor([[0.0, 0], [0, 8], [8, 0], [8, 8]])
    data = (centres[:, None] + 0.1 * torch.randn(4, 200, 2)).reshape(-1, 2)[torch.randperm(800)]
    book.k_means(data)
    for _ in range(100):
        book.learn(data, book.nearest(data))
    assert (torch.cdist(centres, book.table).min(1).values < 0.1).all()


def test_rate_warms_up_and_decays() -> None:
    assert cosine(0.0, 0, 100) == pytest.approx(0.01)
    assert cosine(0.0, 200, 100) == 1
    assert cosine(1.0, 200, 100) == pytest.approx(0.02)


def test_a_missing_checkpoint_is_a_fresh_start(tmp_path: Path) -> None:
    assert load_state(tmp_path / "none.pt") is None


def test_holes_have_any_shape_and_a_fair_size() -> None:
    holes = any_holes(200, 111, torch.Generator().manual_seed(0))
    assert holes.shape == (200, 1, 111, 111)
    assert set(holes.unique().tolist()) == {0, 1}
    areas = holes.mean((1, 2, 3))
    assert SMALLEST - 1e-3 <= areas.min() <= areas.max() <= LARGEST + 1e-3
    rows, columns = holes.amax(3).sum((1, 2)), holes.amax(2).sum((1, 2))
    assert ((rows / columns) > 1.5).any()
    assert ((areas * 111**2) < 0.8 * rows * columns).any(), "not every hole is a rectangle"


def test_scenes_without_masks_are_drawn_only_where_none_is_shown(dataset: Path) -> None:
    known = load_scenes(dataset, "train", 111)
    plain = replace(known, masks=np.zeros_like(known.masks))
    features = np.ones((8, 49, 3), np.float16)
    sampler = SceneSampler([Part(known, 0.5), Part(plain, 0.5, features)], 0, 0)
    drawn = sampler.draw_with(torch.arange(64) % 2 == 0)
    shown = drawn.scene.mask.amax((1, 2, 3)) > 0
    assert shown[::2].all()
    assert shown[1::2].any()
    assert not shown[1::2].all()
    assert torch.equal(drawn.taught, ~shown), "only the plain ones come with features here"
    assert torch.equal(drawn.known, shown)
    assert drawn.features is not None
    assert (drawn.features[drawn.taught] == 1).all()


def test_mean_heads_are_what_prompts_showed_and_are_written_for_their_pair(dataset: Path, tmp_path: Path) -> None:
    tokenizer = tokenizer_trainer(dataset, tmp_path)
    report_tokenizer(tokenizer)
    model = from_nothing(tmp_path / "tokenizer.pt", "tiny", MAE, 0)
    means = MeanHeads(model, 3)
    encoder, decoder, edits = means.recorder()
    canvas = torch.rand(4, 3, 224, 224)
    model.logits("one_shot", canvas, *edits)
    means.learn(torch.tensor([2, 0, 2, 0]), encoder, decoder)
    torch.testing.assert_close(means.encoder[2, 0], encoder[0][[0, 2], 0].mean(0))
    assert not means.ready
    written = means.edits(model, torch.tensor([2, 0]), None)
    heads = torch.randn(2, 50, MAE.heads, MAE.width // MAE.heads)
    out = written[0](0, heads)
    torch.testing.assert_close(out[:, 0], means.encoder[[2, 0], 0])
    torch.testing.assert_close(out[:, 1:], heads[:, 1:])


@pytest.mark.slow
def test_a_model_is_trained_on_from_its_directory(dataset: Path, tmp_path: Path) -> None:
    tokenizer = tokenizer_trainer(dataset, tmp_path / "first")
    report_tokenizer(tokenizer)
    run = MaeRun(((dataset, 1.0),), tmp_path / "first" / "tokenizer.pt", tmp_path / "first", "tiny", MAE, 1, 4)
    torch.save(mae_trainer(run).state(), tmp_path / "first" / "mae.pt")
    export(tmp_path / "first", tmp_path / "model")
    model = from_model(tmp_path / "model", tmp_path / "second")
    assert any(p.requires_grad for p in model.mae.parameters())
    assert not any(p.requires_grad for p in model.vae.parameters())
    torch.save(mae_trainer(run).state(), tmp_path / "second" / "mae.pt")
    assert export(tmp_path / "second", tmp_path / "again")


def test_features_are_made_once_and_standardised(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Corners(torch.nn.Module):
        """Stands in for the network: each patch's mean colour, again and again."""

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            colours = torch.nn.functional.adaptive_avg_pool2d(pictures, teacher.GRID).flatten(2).transpose(1, 2)
            return colours.repeat(1, 1, teacher.CHANNELS // 3)

    monkeypatch.setattr(teacher, "Teacher", Corners)
    features = teacher.scene_features(dataset, "train", tmp_path / "features.npy", lambda _: None)
    assert features.shape == (8, 49, teacher.CHANNELS)
    assert abs(float(features.astype(np.float32).mean())) < 0.01
    assert float(features.astype(np.float32).std()) == pytest.approx(1, abs=0.01)
    monkeypatch.setattr(teacher, "Teacher", None)
    np.testing.assert_array_equal(
        teacher.scene_features(dataset, "train", tmp_path / "features.npy", lambda _: None), features
    )


def test_the_average_follows_slowly() -> None:
    module = torch.nn.Linear(1, 1)
    torch.nn.init.zeros_(module.weight)
    average = Average(module)
    torch.nn.init.ones_(module.weight)
    for step in range(1000, 1100):
        average.update(module, step)
    assert 0.1 < float(average.values["weight"]) < 0.9
