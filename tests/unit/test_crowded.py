"""Where several clients ask, none has so much of a batch, or of a codec process, that the others wait for it."""

import io
from collections import Counter

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
from tests.security.hostile_pictures import blank
from tests.support import photo

PIXELS = np.zeros(3, np.uint8)


class Sizes:
    """Of an engine on a processor."""

    in_flight = 1

    def batch_sizes(self, program: EngineProgram) -> tuple[int, ...]:
        return (1, 2, 4, 8)


def taken(crowded: bool, **waiting: int) -> Counter[str]:
    """Whose jobs the next batch holds."""
    schedule = Schedule(Sizes(), max_wait=0)
    schedule.crowded = crowded
    for client, count in waiting.items():
        for _ in range(count):
            schedule.push(Job(Ticket(1, client), "zero_shot", PIXELS, 0, "task", float("inf")))
    batch, expired = schedule.take()
    assert batch is not None
    assert not expired
    return Counter(job.ticket.client for job in batch.jobs)


@pytest.mark.parametrize(
    ("crowded", "waiting", "wanted"),
    [
        (False, {"a": 20}, {"a": 8}),
        (True, {"a": 20}, {"a": 2}),
        (True, {"a": 20, "b": 1}, {"a": 2, "b": 1}),
        (True, {"a": 20, "b": 20, "c": 20, "d": 20, "e": 20}, {"a": 2, "b": 2, "c": 2, "d": 1, "e": 1}),
        (True, dict.fromkeys("abcdefgh", 1), dict.fromkeys("abcdefgh", 1)),
    ],
)
def test_one_client_has_a_quarter_of_a_batch_where_others_ask(
    crowded: bool, waiting: dict[str, int], wanted: dict[str, int]
) -> None:
    assert taken(crowded, **waiting) == wanted


def test_who_asked_a_while_ago_is_no_company() -> None:
    clients = ActiveClients(seconds=60)
    assert [clients.asks(client) for client in "aaba"] == [False, False, True, True]
    forgetful = ActiveClients(seconds=0)
    assert [forgetful.asks(client) for client in "aba"] == [False, False, False]


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
