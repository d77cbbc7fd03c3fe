"""A whole MAE-VQGAN: pixels to code logits for either program, logits to pixels."""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine import program as programs
from engine.config import ModelConfig
from engine.geometry import Geometry, Quadrant
from engine.mae import Edit, Mae
from engine.operators import native
from engine.program import Program, Scope
from engine.vqgan import Vqgan

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_COLDEST: Final = 1e-3
"""Below which softmax would overflow; what is likeliest has all the weight there."""


class MaeVqgan(nn.Module):
    """MAE, VQGAN and the static bookkeeping of the two programs. Frozen: evaluation only."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.geometry = Geometry(config.mae.image_size, config.mae.patch_size)
        both = (programs.one_shot(self.geometry), programs.zero_shot(self.geometry))
        self.programs: dict[str, Program] = {program.name: program for program in both}
        self.mae = Mae(config.mae)
        self.vae = Vqgan(config.vqgan)
        with torch.device("cpu"):  # no checkpoint holds these: they need values even in a model made without
            self._register_constants()

    def _register_constants(self) -> None:
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        for name, program in self.programs.items():
            for part, index in _static_indices(program).items():
                self.register_buffer(f"_{name}_{part}", index, persistent=False)

    def program(self, name: str) -> Program:
        """`one_shot` or `zero_shot`."""
        return self.programs[name]

    def normalise(self, pixels: Tensor) -> Tensor:
        """[0, 1] -> ImageNet-normalised."""
        return (pixels - self.mean) / self.std

    def logits(
        self,
        name: str,
        pixels: Tensor,
        encoder_edit: Edit | None = None,
        decoder_edit: Edit | None = None,
        *,
        scope: Scope = Scope.CANVAS,
    ) -> Tensor:
        """Normalised pixels -> logits [B,P,codes] of the program's covered patches, or of the answer's alone.

        `one_shot` takes canvases [B,3,S,S]; `zero_shot` takes query tiles [B,3,S/2,S/2].
        """
        return self.logits_of(name, self.latent(name, pixels, encoder_edit), decoder_edit, scope=scope)

    def latent(self, name: str, pixels: Tensor, edit: Edit | None = None) -> Tensor:
        """Normalised pixels as `logits` takes them -> the encoder's output [B,1+V,width], class token first."""
        visible = self._index(name, "visible")
        patches = self.mae.patch_embed(pixels)
        if name == "one_shot":
            patches = patches.index_select(1, visible)
        return self.mae.encode(self.mae.embed(patches, visible), edit)

    def logits_of(self, name: str, latent: Tensor, edit: Edit | None = None, *, scope: Scope = Scope.CANVAS) -> Tensor:
        """The encoder's output -> logits as `logits` gives them."""
        order, places = self._index(name, "order"), self._index(name, "places")
        if scope is Scope.ANSWER:
            return self.mae.decode(latent, order, places, edit, self._index(name, "answer") + 1)
        return self.mae.decode(latent, order, places, edit)[:, 1:]

    def vectors(self, logits: Tensor, temperature: Tensor) -> Tensor:
        """Logits [B,P,codes] -> code vectors [B,P,code_width].

        `temperature` [B] chooses per row: 0 takes the likeliest code, as published; above it the expected code.
        """
        expected = self.expected(logits, temperature[:, None, None])
        return torch.where(temperature[:, None, None] > 0, expected, self.likeliest(logits))

    def likeliest(self, logits: Tensor) -> Tensor:
        """Logits [B,P,codes] -> the vector of the likeliest code, of several alike the first: [B,P,code_width]."""
        if native(logits):
            return F.embedding(logits.argmax(-1), self.vae.codebook)
        # OpenVINO would sort for `argmax`, and take ten times as long; eager takes twice as long for it.
        last = logits.shape[-1] - 1
        number = torch.arange(last + 1, dtype=torch.int32, device=logits.device)
        first = torch.where(logits >= logits.amax(-1, keepdim=True), number, last).amin(-1)
        return F.embedding(first, self.vae.codebook)

    def expected(self, logits: Tensor, temperature: Tensor | float) -> Tensor:
        """Logits [B,P,codes] -> softmax(logits / temperature) times the codebook, [B,P,code_width]."""
        book, divisor = self.vae.codebook, torch.as_tensor(temperature, device=logits.device).clamp(min=_COLDEST)
        return (torch.softmax(logits / divisor, -1) @ book.to(logits.dtype)).to(book.dtype)

    def decode(self, name: str, vectors: Tensor, scope: Scope) -> Tensor:
        """Code vectors [B,P,code_width] of the patches that `logits` gives with this scope -> pixels in [0, 1].

        `answer`: the answer's tile [B,3,S/2,S/2]. `canvas`: [B,3,S,S], where zero-shot stacks its half canvas on
        itself, as the public code does.
        """
        half, grid = self.geometry.half, self.geometry.grid
        if scope is Scope.ANSWER:
            return self.vae.decode_vectors(vectors, half, half)
        if vectors.shape[1] < self.geometry.patches:
            vectors = torch.cat([vectors, vectors], 1)
        return self.vae.decode_vectors(vectors, grid, grid)

    def answer_cell(self, decoded: Tensor) -> Tensor:
        """Decoded tile or canvas -> the answer's cell [B,3,cell,cell]."""
        whole = decoded.shape[-1] == self.geometry.image_size
        box = self.geometry.cell_box if whole else self.geometry.cell_in_tile
        rows, columns = box(Quadrant.ANSWER)
        return decoded[..., rows, columns]

    def _index(self, name: str, part: str) -> Tensor:
        index = getattr(self, f"_{name}_{part}")
        assert isinstance(index, Tensor)
        return index


def _static_indices(program: Program) -> dict[str, Tensor]:
    return {
        "visible": torch.tensor(program.visible, device="cpu"),
        "order": program.order(),
        "places": torch.tensor(program.covered, device="cpu"),
        "answer": torch.tensor(program.answer, device="cpu"),
    }
