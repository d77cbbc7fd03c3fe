"""What `vtv bench engine` times: engines' own calls, the public code's way, and a matrix product."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from engine.geometry import Pixels, Quadrant
from engine.model import MaeVqgan
from engine.network import OneShot, ZeroShot
from engine.program import Scope
from engine.runtime import Engine
from engine.task_vector import AnswerSettings, TaskVector, site_shapes

Call = Callable[[], object]
_PRODUCT_SIDE = {"cpu": 1024, "cuda": 8192}


class Bare(OneShot):
    """The zero-shot program without any override, not even a no-op: what overrides are set against."""

    name = "bare"

    def __init__(self, model: MaeVqgan, scope: Scope) -> None:
        super().__init__(model, scope)
        self.side = model.geometry.tile

    def forward(self, pixels: Tensor) -> Tensor:
        model = self.model
        planes = model.normalise(pixels.float().permute(0, 3, 1, 2) / 255).to(model.vae.codebook.dtype)
        heat = pixels.new_full((pixels.shape[0],), AnswerSettings().temperature, dtype=torch.float32)
        vectors = model.vectors(model.logits("zero_shot", planes, scope=self.scope).float(), heat)
        cell = model.answer_cell(model.decode("zero_shot", vectors, self.scope)).float()
        return (cell * 255).round().permute(0, 2, 3, 1).to(torch.uint8)


class Calls:
    """Calls of one engine that give their result on the host, so that each is over when it returns."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.tasks = engine, engine.bank.slots - 2
        self.tiles = _tiles(engine)
        self.bare_runner = engine.compiled.runner(Bare(engine.compiled.weights, engine.scope), engine.buckets[-1:])
        for slot in range(1, self.tasks + 1):
            engine.write_slot(slot, random_vector(engine, slot))
        self.spare = random_vector(engine, self.tasks + 1)

    def mixed(self, batch: int) -> Call:
        """As many tasks as rows, or as there are."""
        slots = [1 + row % self.tasks for row in range(batch)]
        return lambda: self.engine.zero_shot(self.tiles[:batch], slots)

    def one_task(self, batch: int) -> Call:
        """All rows with one task."""
        return lambda: self.engine.zero_shot(self.tiles[:batch], [1] * batch)

    def bare(self) -> Call:
        """The largest bucket without overrides."""
        return lambda: self.bare_runner.submit(self.tiles, ()).result()

    def switch(self) -> object:
        """Install a task vector in a slot that no row uses, and wait until it is there."""
        self.engine.write_slot(self.tasks + 1, self.spare)
        if self.engine.device.type == "cuda":
            torch.cuda.synchronize(self.engine.device)
        return None


class PublicCode:
    """The baseline: float32 eager on the same device."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        cell = _tiles(engine)[:1, 1:, :-1]
        self.canvas = engine.geometry.canvas(cell, cell, cell)

    @torch.inference_mode()
    def __call__(self) -> object:
        """One canvas: encoded by the tokenizer (for a loss nobody reads), the whole of it decoded, argmax codes."""
        model = self.engine.model
        pixels = torch.from_numpy(self.canvas).to(self.engine.device).permute(0, 3, 1, 2).float() / 255
        model.vae.encode(pixels * 2 - 1).cpu()
        rows, columns = model.geometry.tile_box(Quadrant.QUERY)
        logits = model.logits("zero_shot", model.normalise(pixels)[..., rows, columns])
        vectors = model.vae.codebook[logits.argmax(-1)]
        decoded = model.decode("zero_shot", vectors, Scope.CANVAS)
        return (decoded * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


class MatrixProduct:
    """A large square product in one type, for the rate the hardware gives in it."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        side = _PRODUCT_SIDE[device.type]
        self.factors = torch.randn(2, side, side, device=device).to(dtype)
        self.flop = 2 * side**3

    def __call__(self) -> object:
        return float((self.factors[0] @ self.factors[1])[0, 0])


def flop(call: Call) -> int:
    """Multiplications and additions of products and convolutions in a call of PyTorch's."""
    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())


def engine_flop(engine: Engine) -> int:
    """Of one image in the zero-shot program, whatever computes it."""
    network = ZeroShot(engine.model, engine.scope)
    pixels = torch.zeros(1, network.side, network.side, 3, dtype=torch.uint8, device=engine.device)
    slot = torch.zeros(1, dtype=torch.int64, device=engine.device)
    with torch.inference_mode():
        return flop(lambda: network(pixels, slot, *engine.bank.tensors()))


def random_vector(engine: Engine, seed: int) -> TaskVector:
    """Random values at half of the sites; arithmetic does not depend on what they hold."""
    model, generator = engine.model, torch.Generator().manual_seed(seed)
    shapes = site_shapes(model.config.mae, model.program("zero_shot"))
    values = {part: torch.randn(shape, generator=generator) for part, shape in shapes.items()}
    masks = {part: torch.rand(shape[:3], generator=generator) < 0.5 for part, shape in shapes.items()}
    return TaskVector(
        values["encoder"], masks["encoder"], values["decoder"], masks["decoder"], "zero_shot", engine.fingerprint
    )


def _tiles(engine: Engine) -> Pixels:
    side = engine.geometry.tile
    return np.random.default_rng(0).integers(0, 256, (engine.max_batch, side, side, 3), np.uint8)
