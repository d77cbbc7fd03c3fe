"""What `vtv bench engine` times: the engine's own calls, the public code's way, and a matrix product."""

from collections.abc import Callable

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from engine.geometry import Quadrant
from engine.program import Scope
from engine.runtime import Engine
from engine.task_vector import TaskVector, site_shapes

_PRODUCT_SIDE = {"cpu": 1024, "cuda": 8192}


class Calls:
    """Calls that give their result on the host, so that each is over when it returns."""

    def __init__(self, engine: Engine, tasks: int) -> None:
        draw, geometry = np.random.default_rng(0), engine.geometry
        self.engine, self.tasks = engine, tasks
        self.cells = draw.integers(0, 256, (engine.max_batch, geometry.cell, geometry.cell, 3), np.uint8)
        self.tiles = geometry.query_tile(self.cells)
        cell = self.cells[:1]
        self.canvas = geometry.canvas(cell, cell, cell)
        self.spare = random_vector(engine, tasks + 1)
        self.side = _PRODUCT_SIDE[engine.device.type]
        self.factors = torch.randn(2, self.side, self.side, device=engine.device)

    def mixed(self, batch: int) -> Callable[[], object]:
        """Every row its own task, the tasks taking turns."""
        slots = [1 + row % self.tasks for row in range(batch)]
        return lambda: self.engine.zero_shot(self.tiles[:batch], slots)

    def slot_0(self, batch: int) -> Callable[[], object]:
        """The same with the no-op slot."""
        return lambda: self.engine.zero_shot(self.tiles[:batch], [0] * batch)

    def plain(self, batch: int) -> Callable[[], object]:
        """The same forward pass without any override, not even a no-op."""
        model, tiles = self.engine.model, self.tiles[:batch]

        @torch.inference_mode()
        def call() -> object:
            logits = model.logits("zero_shot", model.normalise(self._planes(tiles)))
            vectors = model.vectors(logits, torch.full((batch,), 0.5, device=logits.device))
            answer = model.answer_cell(model.decode("zero_shot", vectors, self.engine.scope))
            return (answer * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()

        return call

    @torch.inference_mode()
    def public(self) -> object:
        """One canvas: encoded by the tokenizer (for a loss nobody reads), the whole of it decoded, argmax codes."""
        model = self.engine.model
        pixels = self._planes(self.canvas)
        model.vae.encode(pixels * 2 - 1).cpu()
        rows, columns = model.geometry.tile_box(Quadrant.QUERY)
        logits = model.logits("zero_shot", model.normalise(pixels)[..., rows, columns])
        vectors = model.vae.codebook[logits.argmax(-1)]
        decoded = model.decode("zero_shot", vectors, Scope.CANVAS)
        return (decoded * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()

    def matrix_product(self) -> object:
        """A large float32 product, for the rate the hardware gives."""
        return float((self.factors[0] @ self.factors[1])[0, 0])

    @property
    def matrix_product_flop(self) -> int:
        """Multiplications and additions of `matrix_product`."""
        return 2 * self.side**3

    def switch(self) -> object:
        """Install a task vector in a slot that no row uses."""
        self.engine.write_slot(self.tasks + 1, self.spare)
        if self.engine.device.type == "cuda":
            torch.cuda.synchronize(self.engine.device)
        return None

    def flop(self, call: Callable[[], object]) -> int:
        """Multiplications and additions of products and convolutions in a call."""
        with FlopCounterMode(display=False) as counter:
            call()
        return int(counter.get_total_flops())

    def _planes(self, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> torch.Tensor:
        return torch.from_numpy(pixels).to(self.engine.device).permute(0, 3, 1, 2).float() / 255


def random_vector(engine: Engine, seed: int) -> TaskVector:
    """Random values at half of the sites."""
    model, generator = engine.model, torch.Generator().manual_seed(seed)
    shapes = site_shapes(model.config.mae, model.program("zero_shot"))
    values = {part: torch.randn(shape, generator=generator) for part, shape in shapes.items()}
    masks = {part: torch.rand(shape[:3], generator=generator) < 0.5 for part, shape in shapes.items()}
    return TaskVector(
        values["encoder"], masks["encoder"], values["decoder"], masks["decoder"], "zero_shot", engine.fingerprint
    )
