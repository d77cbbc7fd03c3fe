"""service.pipeline.slot_check over a real batcher, whose engine answers as a test says."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import numpy as np
import pytest

from artifacts.store.base import load_any
from engine.classification.head import Head
from engine.geometry import Geometry, Pixels
from engine.program import EngineProgram
from engine.runner import Done, Row
from engine.task_vector import TaskVector
from service.batching.batcher import Batcher
from service.batching.jobs import Job, Ticket
from service.pipeline.slot_check import SlotChecks
from service.tasks.installed import InstalledTask
from service.tasks.registry import TaskRegistry
from service.telemetry.metrics import BuildInfo, Metrics
from tests.support import PATIENCE, make_artifact, make_residual

GEOMETRY = Geometry()
SIDE, SLOT = 32, 1
BLACK = np.zeros((111, 111, 3), np.uint8)
COLOURS = np.random.default_rng(0).integers(0, 256, (111, 111, 3), np.uint8)
NO_SCORES = np.full(3, np.nan, np.float32)
Answer = Callable[[Pixels, int], Row]


@dataclass
class SaidEngine:
    """Answers a picture in a slot with what `answer` makes of them; `mended` once the slot was written."""

    answer: Answer
    mended: Answer | None = None
    in_flight: int = 1
    asked: list[tuple[EngineProgram, int]] = field(default_factory=list)
    written: list[int] = field(default_factory=list)

    def batch_sizes(self, program: EngineProgram) -> tuple[int, ...]:
        return 1, 2, 4

    def warm_up(self) -> None:
        pass

    def write_slot(self, slot: int, content: TaskVector | Head) -> None:
        self.written.append(slot)
        self.answer = self.mended or self.answer

    def submit(self, program: EngineProgram, pixels: Pixels, slots: Sequence[int]) -> Done:
        self.asked += [(program, slot) for slot in slots]
        return Done(np.stack([self.answer(picture, slot) for picture, slot in zip(pixels, slots, strict=True)]))


@dataclass
class World:
    """What checks a slot, and the engine behind it."""

    engine: SaidEngine
    batcher: Batcher
    registry: TaskRegistry
    metrics: Metrics
    checks: SlotChecks

    async def asks(
        self, task: InstalledTask | None, program: EngineProgram = "zero_shot", client: str = "", white: float = 0.25
    ) -> bool:
        """Whether the answer to a client's picture of black and white parts is bad."""
        job = client_job(program, client, white)
        return await self.checks.is_bad(await self.batcher.infer(job), job, task)

    @property
    def bad_answers(self) -> float:
        return self.metrics.registry.get_sample_value("vtv_bad_answers_total") or 0.0


def client_job(program: EngineProgram = "zero_shot", client: str = "", white: float = 0.25) -> Job:
    side = {"zero_shot": GEOMETRY.tile, "one_shot": GEOMETRY.image_size, "classify": SIDE}[program]
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[:, : int(side * white)] = 255
    return Job(Ticket(1, client), program, pixels, 0 if program == "one_shot" else SLOT, "t", monotonic() + PATIENCE)


@pytest.fixture
def painted(tmp_path: Path) -> InstalledTask:
    make_artifact(tmp_path / "painted", "painted", "m", 1)
    return InstalledTask.of(load_any(tmp_path / "painted"))


@pytest.fixture
def classes(tmp_path: Path) -> InstalledTask:
    make_residual(tmp_path / "classes", "classes", "t" * 64, 1, width=8, classes=3)
    return InstalledTask.of(load_any(tmp_path / "classes"))


def within(engine: SaidEngine, test: Callable[[World], Awaitable[None]]) -> World:
    async def run() -> World:
        metrics, registry = Metrics(BuildInfo("0", "m", "cpu", "b")), TaskRegistry(4)
        batcher = Batcher(engine, 16, metrics.batch)
        world = World(engine, batcher, registry, metrics, SlotChecks(batcher, registry, metrics, GEOMETRY, SIDE))
        batcher.start(engine)
        try:
            async with asyncio.timeout(PATIENCE):
                while not batcher.ready:
                    await asyncio.sleep(0.005)
                await test(world)
        finally:
            await asyncio.to_thread(batcher.stop)
        return world

    return asyncio.run(run())


def dead(pixels: Pixels, slot: int) -> Row:
    """Of a vector that is bad itself; without one pictures are answered."""
    return BLACK if slot == SLOT else itself(pixels, slot)


def broken(pixels: Pixels, slot: int) -> Row:
    """Of an engine that paints one colour."""
    return BLACK


def stuck(pixels: Pixels, slot: int) -> Row:
    """Of a vector that paints one picture of many colours, whatever it is shown."""
    return COLOURS if slot == SLOT else itself(pixels, slot)


def tables(pixels: Pixels, slot: int) -> Row:
    """That picture for whoever shows black and white parts, one beside the other."""
    return COLOURS if bool((pixels[-100:, :20] == 255).all()) else itself(pixels, slot)


def itself(pixels: Pixels, slot: int) -> Row:
    return pixels[-111:, :111]


def bright(pixels: Pixels, slot: int) -> Row:
    """The picture's own mean colour throughout."""
    return np.full((111, 111, 3), pixels.mean(), np.uint8)


def empty_mask(pixels: Pixels, slot: int) -> Row:
    """Black for whoever shows nothing but black and white halves."""
    halves = bool((pixels[-100:, : pixels.shape[0] // 4 - 1] == 255).all())
    return BLACK if halves else itself(pixels, slot)


@pytest.mark.parametrize("honest", [empty_mask, bright])
def test_an_honest_answer_of_one_colour_is_one_and_harms_no_task(painted: InstalledTask, honest: Answer) -> None:
    async def test(world: World) -> None:
        world.registry.install(painted)
        for _ in range(5):
            assert not await world.asks(painted)

    world = within(SaidEngine(honest), test)
    assert (world.bad_answers, world.engine.written, world.registry.faulty) == (0, [], {})


def test_one_picture_of_many_colours_for_everything_is_no_answer(painted: InstalledTask) -> None:
    async def test(world: World) -> None:
        world.registry.install(painted)
        assert [await world.asks(painted) for _ in range(3)] == [False] * 3, "the same picture"
        assert await world.asks(painted, white=0.4)
        assert world.registry.is_faulty(painted)

    world = within(SaidEngine(stuck), test)
    assert (world.bad_answers, world.engine.written) == (1, [SLOT])


def test_a_slot_that_got_stuck_is_written_again_and_nothing_more(painted: InstalledTask) -> None:
    async def test(world: World) -> None:
        world.registry.install(painted)
        assert [await world.asks(painted, white=white) for white in (0.2, 0.4, 0.2)] == [False, True, False]

    world = within(SaidEngine(stuck, mended=itself), test)
    assert (world.engine.written, world.registry.faulty) == ([SLOT], {})


def test_pictures_that_are_answered_alike_harm_no_task_and_cost_once(painted: InstalledTask) -> None:
    async def test(world: World) -> None:
        world.registry.install(painted)
        assert [await world.asks(painted, white=white) for white in (0.2, 0.4) * 10] == [False] * 20

    world = within(SaidEngine(tables), test)
    assert (world.bad_answers, world.engine.written, world.registry.faulty) == (0, [], {})
    assert len(world.engine.asked) == 20 + 1


def test_the_last_answer_of_another_version_is_no_reason(painted: InstalledTask, tmp_path: Path) -> None:
    make_artifact(tmp_path / "new", "painted", "m", 2)
    other = InstalledTask.of(load_any(tmp_path / "new"))

    async def test(world: World) -> None:
        assert not await world.asks(painted, white=0.2)
        assert not await world.asks(other, white=0.4)

    assert len(within(SaidEngine(stuck), test).engine.asked) == 2


def test_a_slot_that_went_bad_is_written_again_and_nothing_more(painted: InstalledTask) -> None:
    async def test(world: World) -> None:
        world.registry.install(painted)
        jobs = [client_job() for _ in range(3)]
        rows = [await world.batcher.infer(job) for job in jobs]
        bad = await asyncio.gather(*(world.checks.is_bad(*each, painted) for each in zip(rows, jobs, strict=True)))
        assert bad == [True] * 3, "what came from the slot before it was written again is no answer either"
        assert not await world.asks(painted)

    world = within(SaidEngine(dead, mended=itself), test)
    assert (world.bad_answers, world.engine.written, world.registry.faulty) == (3, [SLOT], {})


def test_a_vector_that_is_bad_itself_is_taken_out_of_service(painted: InstalledTask) -> None:
    async def test(world: World) -> None:
        world.registry.install(painted)
        assert await world.asks(painted)
        assert world.registry.is_faulty(painted)
        asked = len(world.engine.asked)
        assert await world.asks(painted), "one that was under way"
        assert len(world.engine.asked) == asked + 1

    world = within(SaidEngine(dead), test)
    assert (world.bad_answers, world.engine.written) == (2, [SLOT])


def test_a_version_that_was_replaced_meanwhile_takes_no_other_out(painted: InstalledTask, tmp_path: Path) -> None:
    make_artifact(tmp_path / "new", "painted", "m", 2)
    other = InstalledTask.of(load_any(tmp_path / "new"))

    async def test(world: World) -> None:
        world.registry.install(other)
        assert await world.asks(painted)

    assert within(SaidEngine(dead), test).registry.faulty == {}


def test_an_engine_that_is_broken_takes_no_task_out(painted: InstalledTask) -> None:
    async def test(world: World) -> None:
        world.registry.install(painted)
        assert await world.asks(painted)

    world = within(SaidEngine(broken), test)
    assert (world.bad_answers, world.registry.faulty) == (1, {})


def test_an_answer_to_an_example_is_judged_alike() -> None:
    async def bad(world: World) -> None:
        assert await world.asks(None, "one_shot")

    async def good(world: World) -> None:
        assert not await world.asks(None, "one_shot")

    assert within(SaidEngine(broken), bad).bad_answers == 1
    honest = within(SaidEngine(empty_mask), good)
    assert (honest.bad_answers, honest.engine.written) == (0, [])


def scores(pixels: Pixels, slot: int) -> Row:
    return np.array([0.5, 0.3, 0.2], np.float32)


def featureless(pixels: Pixels, slot: int) -> Row:
    """No scores for whoever shows nothing but black and white halves."""
    return NO_SCORES if bool((pixels[:, : SIDE // 4] == 255).all()) else scores(pixels, slot)


def no_scores(pixels: Pixels, slot: int) -> Row:
    return NO_SCORES


@pytest.mark.parametrize(
    ("engine", "bad", "written"),
    [
        (SaidEngine(featureless), False, []),
        (SaidEngine(no_scores, mended=scores), True, [SLOT]),
        (SaidEngine(no_scores), True, [SLOT]),
    ],
    ids=["the picture", "the slot", "the tower"],
)
def test_scores_that_are_not_finite_have_one_cause_of_three(
    classes: InstalledTask, engine: SaidEngine, bad: bool, written: list[int]
) -> None:
    async def test(world: World) -> None:
        world.registry.install(classes)
        assert await world.asks(classes, "classify") is bad

    world = within(engine, test)
    assert (world.bad_answers, world.engine.written, world.registry.faulty) == (float(bad), written, {})
