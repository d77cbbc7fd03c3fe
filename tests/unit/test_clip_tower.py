"""CLIP in the library's own format, tiny and random: its towers, its bases, and the way to a task."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from artifacts.errors import OfflineError
from artifacts.store.residual import load_residual
from artifacts.taskres.clip import Clip
from artifacts.taskres.open_texts import open_texts
from artifacts.taskres.public_checkpoint import read_projection, write_projection
from artifacts.taskres.templates import TEMPLATES
from cli.main import main as vtv
from engine.towers.folder import load_tower, save_tower
from tests.unit.taskres_data import NAMES, make_class_folders

transformers = pytest.importorskip("transformers", reason="the extra clip is not installed")
Capture = pytest.CaptureFixture[str]
LETTERS = "abcdefghijklmnopqrstuvwxyz."
WIDTH, TEXT = 24, 32


def write_tokenizer(folder: Path) -> int:
    """A byte-pair vocabulary of single letters; returns its size."""
    words = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    about = {"tokenizer_class": "CLIPTokenizer", "pad_token": "<|endoftext|>", **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    return len(words)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    size = write_tokenizer(folder)
    ends = {"bos_token_id": size - 2, "eos_token_id": size - 1, "pad_token_id": size - 1}
    shape = {"hidden_size": TEXT, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    text = {**shape, **ends, "vocab_size": size, "max_position_embeddings": 48}
    vision = {**shape, "image_size": 32, "patch_size": 8}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH)
        model = transformers.CLIPModel(config)
        for parameter in model.parameters():  # the library's own are so small that every picture looks alike
            if parameter.dim() > 1:
                parameter.data.mul_(6)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"size": {"shortest_edge": 32}, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]})
    )
    return folder


@pytest.fixture(scope="module")
def tower(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tower")
    assert vtv(["taskres", "import-tower", str(clip), "-o", str(folder)]) == 0
    return folder


def test_image_features_are_the_librarys(clip: Path, tower: Path) -> None:
    pixels = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pictures = pixels.permute(0, 3, 1, 2) / 255
    ours = load_tower(tower)
    assert (ours.size, ours.shorter_edge, ours.width) == (32, 32, WIDTH)
    whole = transformers.CLIPModel.from_pretrained(clip)
    mean, std = (torch.tensor(numbers).reshape(3, 1, 1) for numbers in ([0.5, 0.4, 0.3], [0.2, 0.3, 0.4]))
    with torch.inference_mode():
        pooled = whole.vision_model(pixel_values=(pictures - mean) / std).pooler_output
        wanted = whole.visual_projection(pooled)
    exact = Clip(clip).image_tower()(pixels)
    torch.testing.assert_close(exact, wanted)
    assert float(torch.cosine_similarity(ours(pixels), wanted).min()) > 0.999  # stored in half precision


def test_the_base_is_the_mean_of_projected_text_features(clip: Path, tower: Path) -> None:
    """Not normalised before the mean; every template in a text of its own; underscores become spaces."""
    whole = transformers.CLIPModel.from_pretrained(clip)
    tokenizer = transformers.CLIPTokenizer.from_pretrained(clip)
    templates = TEMPLATES["imagenet"][5:]

    def features(name: str) -> torch.Tensor:
        rows = []
        for template in templates:
            text = template.replace("{}", name)
            tokens = tokenizer([text], padding="max_length", truncation=True, max_length=48, return_tensors="pt")
            rows.append(whole.text_projection(whole.text_model(**tokens).pooler_output)[0])
        return torch.stack(rows).mean(0)

    with torch.inference_mode():
        wanted = torch.stack([features(name) for name in ("ant", "basset hound")])
    found = open_texts(tower, clip).base(("ant", "basset_hound"), templates)
    torch.testing.assert_close(found.base, wanted, rtol=1e-4, atol=1e-5)
    assert found.labels == ("ant", "basset_hound")
    assert found.scale == pytest.approx(float(whole.logit_scale.detach().exp()))
    kept = open_texts(tower, clip).base(("basset_hound",), templates, keep_underscores=True)
    assert not torch.allclose(kept.base[0], wanted[1], rtol=1e-2)


def words(tower: Path, clip: Path, *more: str) -> list[str]:
    return ["taskres", "base", "--tower", str(tower), "--clip", str(clip), "--task", "animals", *more]


def test_from_class_names_to_a_trained_task(clip: Path, tower: Path, tmp_path: Path, capsys: Capture) -> None:
    data = ["--dataset", str(make_class_folders(tmp_path / "data")), "--cache", str(tmp_path / "cache")]
    base = str(tmp_path / "base")
    assert vtv(words(tower, clip, *data, "-o", base)) == 0
    capsys.readouterr()
    out = ["--json", "--precision", "float32", "--tower", str(tower), "-o", str(tmp_path / "task")]
    assert vtv(["taskres", "train", base, *data, "--shots", "5", "--rate", "0.5", *out]) == 0
    assert json.loads(capsys.readouterr().out)["metric"]["value"] > 0.7
    assert load_residual(tmp_path / "task").value.labels == NAMES


def test_an_enhanced_base_is_tuned_stored_and_read(clip: Path, tower: Path, tmp_path: Path) -> None:
    """What `--tune` leaves beside the base gives the same base when it is given back."""
    data = ["--dataset", str(make_class_folders(tmp_path / "data")), "--cache", str(tmp_path / "cache")]
    tuned, given, plain = (tmp_path / name for name in ("tuned", "given", "plain"))
    assert vtv(words(tower, clip, *data, "--tune", "3", "--precision", "float32", "-o", str(tuned))) == 0
    saved = tmp_path / "tuned.projection"
    assert read_projection(saved).shape == (TEXT, WIDTH)
    assert vtv(words(tower, clip, *data, "--projection", str(saved), "-o", str(given))) == 0
    assert vtv(words(tower, clip, *data, "-o", str(plain))) == 0
    bases = [load_residual(path).value.base for path in (tuned, given, plain)]
    torch.testing.assert_close(bases[0], bases[1])
    assert not torch.allclose(bases[0], bases[2], rtol=1e-3)
    assert load_residual(tuned).metadata["method"] == "tuned projection"


def refused(call: list[str], capsys: Capture) -> str:
    capsys.readouterr()
    assert vtv(call) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1, told.err
    return told.err


def test_what_does_not_fit_is_refused(clip: Path, tower: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "names").write_text("ant\ncat\n")
    base = words(tower, clip, "--names", str(tmp_path / "names"), "-o", str(tmp_path / "x"))
    write_projection(tmp_path / "wrong", torch.ones(TEXT, WIDTH + 1))
    given = [*base, "--projection", str(tmp_path / "wrong")]
    assert f"a text projection [{TEXT}, {WIDTH + 1}] does not fit" in refused(given, capsys)
    assert "--tune draws from a data set" in refused([*base, "--tune", "2"], capsys)
    own = words(tower, clip, "--own-classes", "-o", str(tmp_path / "x"))
    assert "--own-classes are of a tower with a classifier" in refused(own, capsys)
    both = [*base, "--own-classes"]
    assert "give one of --dataset, --names and --own-classes" in refused(both, capsys)
    other = load_tower(tower)
    other.visual_projection.weight += 1
    save_tower(other, tmp_path / "other")
    call = words(tmp_path / "other", clip, "--names", str(tmp_path / "names"), "-o", str(tmp_path / "x"))
    assert "was not imported from" in refused(call, capsys)


def test_folders_that_are_no_clip_are_refused(clip: Path, tower: Path, tmp_path: Path) -> None:
    with pytest.raises(OfflineError, match="is no CLIP in the format of transformers"):
        Clip(tmp_path)
    folder = tmp_path / "clip"
    shutil.copytree(clip, folder)
    (folder / "preprocessor_config.json").write_text('{"size": {"height": 32}}')
    with pytest.raises(OfflineError, match=r"preprocessor_config\.json is not understood"):
        Clip(folder).image_tower()
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(OfflineError, match=r"has no tokenizer: tokenizer\.json, or vocab\.json"):
        Clip(folder).hidden(["ant"], ["{}"])
    write_tokenizer(folder)
    (folder / "vocab.json").write_text('{"a": 0, "<|startoftext|>": 1, "<|endoftext|>": 2}')
    with pytest.raises(OfflineError, match=r"a tokenizer of 3 words does not fit a model of 56"):
        Clip(folder).hidden(["ant"], ["{}"])
    (folder / "vocab.json").write_text("[]")
    with pytest.raises(OfflineError, match="has no tokenizer that can be read"):
        Clip(folder).hidden(["ant"], ["{}"])
    model = folder / "model.safetensors"
    model.write_bytes(model.read_bytes()[:1000])
    with pytest.raises(OfflineError, match="is no CLIP in the format of transformers"):
        Clip(folder)


def test_pictures_are_prepared_as_openai_does_where_nothing_is_said(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    shutil.copytree(clip, folder)
    (folder / "preprocessor_config.json").unlink()
    tower = Clip(folder).image_tower()
    assert tower.mean == pytest.approx([0.4815, 0.4578, 0.4082], abs=1e-4)
    assert (tower.size, tower.shorter_edge) == (32, 32)
