"""The public code's pickles: what they hold, heads recovered through the projection, and what is refused."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from artifacts.errors import OfflineError
from artifacts.pickles.plain import read_pickle
from artifacts.search.granularity import Variables
from artifacts.search.upstream import import_upstream, read_logits, read_means
from artifacts.store.artifact import load_artifact
from cli.main import main
from engine.checkpoint import load_model
from engine.overrides import record
from parity.activation_case import project

PICKLES = Path(__file__).parents[1] / "data/golden/public/pickles"
MEANS = PICKLES / "segmentation_mean_activations.pkl"
BERNOULLIS = next(PICKLES.glob("bernoullis_*.pkl"))


def test_the_public_codes_own_files() -> None:
    expected = np.load(PICKLES / "expected.npz")
    count, encoder, decoder = read_means(MEANS)
    assert count == int(expected["count"])
    np.testing.assert_array_equal(encoder.numpy(), expected["encoder"])
    np.testing.assert_array_equal(decoder.numpy(), expected["decoder"])
    np.testing.assert_array_equal(read_logits(BERNOULLIS).numpy(), expected["bernoullis"])


@pytest.fixture(scope="module")
def recorded(tiny_model: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[torch.Tensor]]:
    """A mean-activation file as the public code writes it, from heads that a tiny model computed; and those heads."""
    model, _ = load_model(tiny_model[0])
    heads: list[torch.Tensor] = []
    canvases = torch.rand(3, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        model.logits("one_shot", model.normalise(canvases), record(heads), record(heads))
    depth = model.config.mae.depth
    means = [torch.stack([h.mean(0) for h in part]) for part in (heads[:depth], heads[depth:])]
    sides = zip(means, (model.mae.blocks, model.mae.decoder_blocks), strict=True)
    projected = [torch.from_numpy(project(values, blocks)) for values, blocks in sides]
    path = tmp_path_factory.mktemp("upstream") / "segmentation_mean_activations.pkl"
    path.write_bytes(pickle.dumps([3, *projected]))
    return path, means


def logit_file(path: Path, model: Path, granularity: str) -> torch.Tensor:
    loaded, _ = load_model(model)
    count = Variables(loaded.config.mae, loaded.program("zero_shot"), granularity).count
    logits = torch.randn(count, generator=torch.Generator().manual_seed(1))
    path.write_bytes(pickle.dumps([np.asarray(value, np.float32) for value in logits.numpy()]))
    return logits


@pytest.mark.parametrize("granularity", ["head", "group", "token"])
def test_heads_come_back_through_the_projection(
    tiny_model: tuple[Path, str], recorded: tuple[Path, list[torch.Tensor]], tmp_path: Path, granularity: str
) -> None:
    logits = logit_file(tmp_path / "b.pkl", tiny_model[0], granularity)
    model, mark = load_model(tiny_model[0])
    found = import_upstream(model, mark, "segmentation", recorded[0], tmp_path / "b.pkl")
    assert (found.prompts, found.granularity) == (3, granularity)
    assert found.residual < 1e-5
    tokens = [0, *range(99, 148)], [0, *range(99, 197)]
    torch.testing.assert_close(found.vector.encoder_value, recorded[1][0][:, tokens[0]], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.vector.decoder_value, recorded[1][1][:, tokens[1]], rtol=1e-3, atol=1e-4)
    variables = Variables(model.config.mae, model.program("zero_shot"), granularity)
    encoder, _ = variables.expand((logits > 0)[None])
    assert torch.equal(found.vector.encoder_mask, encoder[:, 0])


def test_the_command(tiny_model: tuple[Path, str], recorded: tuple[Path, list[torch.Tensor]], tmp_path: Path) -> None:
    logit_file(tmp_path / "b.pkl", tiny_model[0], "group")
    words = ["import-upstream", "--means", str(recorded[0]), "--bernoullis", str(tmp_path / "b.pkl")]
    out = tmp_path / "v.safetensors"
    assert main([*words, "--task", "segmentation", "-o", str(out), "--model", str(tiny_model[0])]) == 0
    artifact = load_artifact(out, tiny_model[1])
    assert artifact.metadata["method"] == "reinforce, imported"
    assert artifact.vector.answer.temperature == 0


def test_files_of_another_model_are_refused(
    tiny_model: tuple[Path, str], recorded: tuple[Path, list[torch.Tensor]], tmp_path: Path
) -> None:
    model, mark = load_model(tiny_model[0])
    with pytest.raises(OfflineError, match="this model records"):
        import_upstream(model, mark, "segmentation", MEANS, BERNOULLIS)
    with pytest.raises(OfflineError, match="1152 logits"):
        import_upstream(model, mark, "segmentation", recorded[0], BERNOULLIS)
    with torch.no_grad():
        for parameter in model.mae.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    with pytest.raises(OfflineError, match="residual"):
        import_upstream(model, mark, "segmentation", recorded[0], BERNOULLIS)


class Call:
    """Pickles to a call of `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def test_nothing_in_a_pickle_is_executed(tmp_path: Path) -> None:
    target, path = tmp_path / "made", tmp_path / "hostile.pkl"
    for function, arguments in ((os.mkdir, (str(target),)), (eval, ("1",)), (getattr, ("text", "upper"))):
        path.write_bytes(pickle.dumps([3, Call(function, *arguments)]))
        with pytest.raises(OfflineError, match="refused: it asks for"):
            read_pickle(path)
    inner = pickle.dumps(Call(os.mkdir, str(target)))
    path.write_bytes(pickle.dumps(Call(torch.storage._load_from_bytes, inner)))
    with pytest.raises(OfflineError, match="refused"):
        read_pickle(path)
    assert not target.exists()


@pytest.mark.parametrize("content", [b"", b"\x80\x04", b"text", pickle.dumps([1, 2])])
def test_damaged_files_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.pkl"
    path.write_bytes(content)
    with pytest.raises(OfflineError, match=r"damaged\.pkl"):
        read_means(path)
    with pytest.raises(OfflineError, match=r"absent\.pkl cannot be read"):
        read_logits(tmp_path / "absent.pkl")
