"""Ten thousand random installs, evictions and batches against a plain forward pass with the vector written in."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.errors import BankFull
from engine.geometry import Pixels
from engine.model import MaeVqgan
from engine.overrides import write
from engine.program import Scope
from engine.slots import SlotTable
from engine.task_vector import AnswerSettings, TaskVector
from engine.tolerance import TOLERANCE, psnr
from tests.numerics.conftest import GetEngine
from tests.support import random_vector

STEPS, TASKS, PICTURES = 10_000, 12, 3


@torch.inference_mode()
def plain(model: MaeVqgan, tile: Pixels, vector: TaskVector | None) -> Pixels:
    """One picture, with no bank and no slots."""
    device = model.mean.device
    pixels = torch.from_numpy(tile[None]).to(device).permute(0, 3, 1, 2).float() / 255
    edits = ()
    if vector is not None:
        edits = (
            write(vector.encoder_value.to(device), vector.encoder_mask.to(device)),
            write(vector.decoder_value.to(device), vector.decoder_mask.to(device)),
        )
    logits = model.logits("zero_shot", model.normalise(pixels), *edits, scope=Scope.ANSWER)
    heat = torch.tensor([(vector.answer if vector else AnswerSettings()).temperature], device=device)
    cell = model.answer_cell(model.decode("zero_shot", model.vectors(logits, heat), Scope.ANSWER))
    return (cell[0] * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()


@pytest.mark.parametrize(
    ("backend", "device"),
    [
        ("eager", "cpu"),
        *(pytest.param(name, "cuda", marks=pytest.mark.gpu) for name in ("eager", "torch_tensorrt", "tensorrt")),
    ],
)
def test_ten_thousand_steps(engine_of: GetEngine, backend: str, device: str) -> None:
    engine, draw = engine_of(backend, device), random.Random(1)
    least = TOLERANCE[engine.dtype].psnr
    table, side = SlotTable(engine.bank.slots), engine.geometry.tile
    tiles = np.random.default_rng(1).integers(0, 256, (PICTURES, side, side, 3), np.uint8)
    vectors = {
        f"task {k}": replace(
            random_vector(engine.model, engine.fingerprint, k), answer=AnswerSettings(temperature=k / TASKS)
        )
        for k in range(TASKS)
    }
    wanted = {
        (name, k): plain(engine.model, tiles[k], vectors[name] if name else None)
        for name in ("", *vectors)
        for k in range(PICTURES)
    }
    held: list[tuple[str, int]] = []
    counts = {"run": 0, "install": 0, "reuse": 0, "full": 0}
    for step in range(STEPS):
        action = draw.random()
        if action < 0.012:
            rows = [draw.choice([("", 0), *held]) for _ in range(draw.randrange(1, 5))]
            pictures = [draw.randrange(PICTURES) for _ in rows]
            found = engine.zero_shot(tiles[pictures], [slot for _, slot in rows])
            for answer, (name, _), k in zip(found, rows, pictures, strict=True):
                assert psnr(answer, wanted[name, k]) >= least, (step, name)
            counts["run"] += 1
        elif action < 0.55 or not held:
            name = draw.choice(list(vectors))
            try:
                slot, fresh = table.acquire(name)
            except BankFull:
                counts["full"] += 1
                continue
            assert fresh or float(engine.bank.temperature[slot]) == np.float32(vectors[name].answer.temperature)
            if fresh:
                engine.write_slot(slot, vectors[name])
            held.append((name, slot))
            counts["install" if fresh else "reuse"] += 1
        else:
            _, slot = held.pop(draw.randrange(len(held)))
            table.release(slot)
        if step % 500 == 0:
            table.check_integrity()
            engine.bank.check_integrity()
    assert min(counts.values()) > 100, counts
    assert table.evictions > 100
    # Any two tasks answer so differently that one taken for the other would have been seen.
    names = ("", *vectors)
    nearest = max(psnr(wanted[a, k], wanted[b, k]) for k in range(PICTURES) for a in names for b in names if a < b)
    assert nearest < least - 6
