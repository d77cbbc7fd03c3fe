"""Where several clients ask, none has so much of a batch, or of a codec process, that the others wait for it."""

import asyncio
import io
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pytest
from PIL import Image

from engine.program import EngineProgram
from engine.task_vector import AnswerSettings
from service.active_clients import ActiveClients
from service.batching.jobs import Job, Ticket
from service.batching.schedule import Schedule
from service.codec.cost import cost_of, is_large
from service.codec.spec import ImageSpec
from service.http.refusals import Refusals
from tests.security.hostile_pictures import blank
from tests.support import photo

PIXELS = np.zeros(3, np.uint8)


class Sizes:
    """Of an engine on a processor."""

    in_flight = 1

    def batch_sizes(self, program: EngineProgram) -> tuple[int, ...]:
        return (1, 2, 4, 8)


def crowd(seconds: Mapping[int, float] = MappingProxyType({}), **waiting: int) -> Schedule:
    """Several clients ask, one of them little, with so many jobs each. Batches have been seen to take some seconds."""
    schedule = Schedule(Sizes(), max_wait=0)
    schedule.crowded = True
    for size, each in seconds.items():
        schedule.times["zero_shot"].observe(size, each)
    for client, count in waiting.items():
        for _ in range(count):
            schedule.push(Job(Ticket(1, client), "zero_shot", PIXELS, 0, "task", float("inf")))
    return schedule


def taken(schedule: Schedule) -> Counter[str]:
    """Whose jobs the next batch holds."""
    batch, expired = schedule.take()
    assert batch is not None
    assert not expired
    schedule.complete(batch)
    return Counter(job.ticket.client for job in batch.jobs)


LONGER, FLAT = {1: 1.0, 2: 1.5, 4: 2.8, 8: 5.3}, {1: 1.0, 2: 1.0, 4: 1.1, 8: 1.6}
"""Seconds of batches: where every picture costs its time, and where up to four cost hardly more than one."""


def test_one_client_alone_has_whole_batches() -> None:
    schedule = crowd(a=20)
    schedule.crowded = False
    assert taken(schedule) == {"a": 8}


@pytest.mark.parametrize(
    ("seconds", "waiting", "wanted"),
    [
        (LONGER, {"a": 20}, {"a": 1}),
        (FLAT, {"a": 20}, {"a": 4}),
        ({}, {"a": 20}, {"a": 1}),
        ({1: 1.0}, {"a": 20}, {"a": 2}),
        (LONGER, {"a": 20, "b": 1}, {"b": 1}),
        (LONGER, dict.fromkeys("abcd", 20), dict.fromkeys("abcd", 1)),
        (FLAT, {"a": 20, "b": 20}, {"a": 2, "b": 2}),
        (FLAT, dict.fromkeys("abcdefgh", 1), dict.fromkeys("abcdefgh", 1)),
    ],
    ids=["short", "no longer", "never seen", "seen alone", "few first", "one each", "as much each", "few together"],
)
def test_a_batch_of_those_who_ask_much_is_short(
    seconds: Mapping[int, float], waiting: Mapping[str, int], wanted: Mapping[str, int]
) -> None:
    assert taken(crowd(seconds, **waiting)) == wanted


def test_those_who_ask_little_and_those_who_ask_much_take_turns() -> None:
    schedule = crowd(LONGER, a=20, **dict.fromkeys("bcdefghijk", 1))
    sizes = [taken(schedule) for _ in range(4)]
    assert sizes == [dict.fromkeys("bcdefghi", 1), {"a": 1}, {"j": 1, "k": 1}, {"a": 1}]


async def waits(clients: str) -> list[float]:
    """Seconds after which each of some requests at once is told that its client's share is full."""
    refusals, began = Refusals(), asyncio.get_running_loop().time()

    async def one(client: str) -> float:
        await refusals.turn(client)
        return asyncio.get_running_loop().time() - began

    return await asyncio.gather(*(one(client) for client in clients))


def test_refusals_of_one_client_come_one_after_the_other() -> None:
    *of_one, other = asyncio.run(waits("a" * 11 + "b"))
    assert of_one == sorted(of_one)
    assert of_one[-1] - of_one[0] > 0.15
    assert other < of_one[-1]


def test_who_asked_a_while_ago_is_no_company() -> None:
    clients = ActiveClients(seconds=60)
    assert [clients.asks(client, 1) for client in "aaba"] == [False, False, True, True]
    forgetful = ActiveClients(seconds=0)
    assert [forgetful.asks(client, 1) for client in "aba"] == [False, False, False]


def test_those_who_all_ask_much_spare_nobody() -> None:
    clients = ActiveClients(seconds=60)
    told = [clients.asks(*each) for each in (("a", 3), ("b", 2), ("b", 3), ("b", 1), ("c", 2))]
    assert told == [False, True, False, False, True]


def jpeg(side: int, progressive: bool) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side)).save(buffer, "JPEG", progressive=progressive)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("source", "cost", "large"),
    [
        (photo(), 1, False),
        (photo() + bytes(2**20), 1, True),
        (b"no picture", 1, False),
        (np.zeros((400, 400, 3), np.uint8), 1, False),
        (blank(5000, 5000), 25, True),
        (blank(2000, 2000), 4, False),
        (jpeg(4000, progressive=False), 2, False),
        (jpeg(4000, progressive=True), 16, True),
    ],
    ids=["photo", "many bytes", "no picture", "pixels", "25 megapixels", "4 megapixels", "JPEG", "progressive JPEG"],
)
def test_what_a_picture_costs_is_told_from_its_header(source: bytes | np.ndarray, cost: int, large: bool) -> None:
    spec = ImageSpec(source, None, None, "native", "png", True, AnswerSettings())
    assert (cost_of(spec), is_large(spec, cost)) == (cost, large)
