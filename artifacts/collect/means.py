"""A means file: mean head outputs of one task, their spread, and what they were made from."""

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from artifacts.errors import OfflineError
from engine.model import MaeVqgan
from engine.program import Program

SCHEMA = "vtv-means-2"
METADATA = {"task", "model", "prompts", "selection", "source", "digest"}
TENSORS = ("encoder", "decoder", "encoder_square", "decoder_square")


@dataclass(frozen=True, slots=True)
class Collected:
    """How means were collected.

    `encoder_square`, `decoder_square` float32 [L,N,H]: the mean squared norm of each head output. `selection`: how
    prompts were chosen among the candidates. `source` says in words what those were made of, `digest` is their SHA-256.
    """

    encoder_square: Tensor
    decoder_square: Tensor
    selection: str
    source: str
    digest: str


@dataclass(frozen=True, slots=True)
class Means:
    """Mean head outputs float32 [L,N,H,d] over `prompts` one-shot prompts, at the one-shot program's tokens.

    `collected` is None for means from elsewhere.
    """

    encoder: Tensor
    decoder: Tensor
    task: str
    model: str
    prompts: int
    collected: Collected | None = None

    def for_program(self, program: Program, source: Program) -> tuple[Tensor, Tensor]:
        """The same at another program's tokens: each patch keeps its means."""
        return (
            self.encoder[:, _tokens(program.visible, source.visible)],
            self.decoder[:, _tokens(program.covered, source.covered)],
        )


def zero_shot_values(model: MaeVqgan, means: Means) -> tuple[Tensor, Tensor]:
    """Means of one-shot prompts at the zero-shot program's tokens."""
    return means.for_program(model.program("zero_shot"), model.program("one_shot"))


def save_means(path: Path, means: Means) -> None:
    """Write collected means as a file (safetensors)."""
    how = means.collected
    if how is None:
        raise OfflineError(f"means of {means.task} were not collected here: there is nothing to write beside them")
    about = {"schema": SCHEMA, "task": means.task, "model": means.model, "prompts": str(means.prompts)}
    about |= {"selection": how.selection, "source": how.source, "digest": how.digest}
    tensors = (means.encoder, means.decoder, how.encoder_square, how.decoder_square)
    partial = path.with_name(path.name + ".partial")
    save_file({name: tensor.contiguous() for name, tensor in zip(TENSORS, tensors, strict=True)}, partial, about)
    partial.replace(path)


def load_means(path: Path, fingerprint: str | None = None) -> tuple[Means, Collected]:
    """Read a means file, made for this model where a fingerprint is given; raises OfflineError."""
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            if about.get("schema") != SCHEMA or not about.keys() >= METADATA:
                raise OfflineError(f"{path} is not a means file of this version (`vtv collect` makes one)")
            if fingerprint is not None and about["model"] != fingerprint:
                raise OfflineError(f"{path} was collected from another model: collect again")
            encoder, decoder, encoder_square, decoder_square = (file.get_tensor(name) for name in TENSORS)
    except (OSError, SafetensorError) as error:
        raise OfflineError(f"{path} cannot be read: {error}") from None
    how = Collected(encoder_square, decoder_square, about["selection"], about["source"], about["digest"])
    return Means(encoder, decoder, about["task"], about["model"], int(about["prompts"]), how), how


def _tokens(patches: tuple[int, ...], source: tuple[int, ...]) -> list[int]:
    token_of = {patch: token for token, patch in enumerate(source, start=1)}
    return [0, *(token_of[patch] for patch in patches)]
