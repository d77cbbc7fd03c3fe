"""More clients than the server has room for, and clients that leave: on real sockets, to the request."""

import asyncio
import gc
import resource
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from benchmarks.peers.accelerator import MAX_BATCH
from benchmarks.peers.answers import TASKS
from service.batching.jobs import Job
from service.codec.spec import ImageSpec
from service.codec.workers.process import CodecJob
from service.pipeline.request_run import RequestRun
from tests.chaos import overload
from tests.chaos.overload import Overloaded, answered, ask, coloured, raw
from tests.support import PATIENCE, wait_until

LIMIT = 256


@pytest.fixture(scope="module", autouse=True)
def many_files() -> Iterator[None]:
    """Both ends of every connection lie in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Overloaded]:
    server = Overloaded(tmp_path, queue_limit=LIMIT, max_images=LIMIT, codec_processes=2)
    yield server
    server.stop()


async def until(condition: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(wait_until, condition, what)


async def metric(port: int, name: str, label: str = "") -> int:
    _, page = await ask(port, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    samples = (line.rpartition(" ") for line in page.decode().splitlines() if not line.startswith("#"))
    return sum(int(float(value)) for key, _, value in samples if key.partition("{")[0] == name and label in key)


def test_a_burst_over_the_bound(server: Overloaded) -> None:
    """1,200 at once over a bound of 256: that many are accepted and answered, each with its own picture."""

    async def burst() -> None:
        asked = [asyncio.create_task(ask(server.port, raw(coloured(index)))) for index in range(1200)]
        first = islice(asyncio.as_completed(asked, timeout=PATIENCE), 1200 - LIMIT)
        assert {(await reply)[0] for reply in first} == {429}  # at once: the engine has let nothing through
        await until(lambda: server.batcher.admitted == LIMIT, "a full queue")
        assert await metric(server.port, "vtv_queue_depth") == LIMIT
        server.engine.gate.set()
        replies = await asyncio.gather(*asked)
        assert Counter(status for status, _ in replies) == {200: LIMIT, 429: 1200 - LIMIT}
        accepted = [index for index, (status, _) in enumerate(replies) if status == 200]
        assert [answered(replies[index][1])[0] for index in accepted] == accepted
        computed = [colour for batch in server.engine.launched for colour in batch]
        assert sorted(computed) == accepted
        assert await metric(server.port, "vtv_dropped_total", "queue_full") == 1200 - LIMIT
        assert await metric(server.port, "vtv_requests_total", 'code="429"') == 1200 - LIMIT
        assert await metric(server.port, "vtv_requests_total", 'code="200"') == LIMIT

    asyncio.run(burst())
    assert server.batcher.admitted == 0


def test_a_bank_of_which_every_slot_is_in_use(tmp_path: Path) -> None:
    """Is as full as a queue, and counted like one."""
    server = Overloaded(tmp_path, slots=2, codec_processes=1)

    async def ask_two_tasks() -> None:
        first = asyncio.create_task(ask(server.port, raw(coloured(2))))
        await until(lambda: len(server.engine.launched) == 1, "the first task on the engine")
        assert (await ask(server.port, raw(coloured(4), "segmentation")))[0] == 429
        assert await metric(server.port, "vtv_dropped_total", "queue_full") == 1
        server.engine.gate.set()
        assert (await first)[0] == 200

    try:
        asyncio.run(ask_two_tasks())
    finally:
        server.stop()
    assert server.batcher.admitted == 0


@pytest.mark.parametrize(
    "form",
    ["raw", *(pytest.param(form, marks=pytest.mark.slow) for form in ("multipart", "as_json", "open_inference"))],
)
def test_those_who_left_are_never_computed(server: Overloaded, form: str) -> None:
    """256 sockets close while the engine is busy: nothing is computed but what had been launched."""

    async def leave() -> None:
        connections = []
        for index in range(LIMIT):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(getattr(overload, form)(coloured(index)))
            connections.append((reader, writer))
        # One batch is computing, the next has been launched behind it, everything else waits.
        await until(lambda: len(server.engine.launched) == 2 and server.batcher.waiting() == expected(), "a queue")
        for _, writer in connections:
            writer.transport.abort()
        await until(lambda: server.batcher.admitted == 0, "the end of every request")

    def expected() -> int:
        return LIMIT - sum(map(len, server.engine.launched))

    asyncio.run(leave())
    launched = sum(map(len, server.engine.launched))
    assert launched <= 2 * MAX_BATCH
    server.engine.gate.set()

    async def count() -> None:
        status, body = await ask(server.port, raw(coloured(4000), "segmentation"))
        assert (status, answered(body)) == (200, (4000, TASKS.index("segmentation")))
        assert sum(map(len, server.engine.launched)) == launched + 1
        assert await metric(server.port, "vtv_batch_size_sum") == launched + 1
        assert await metric(server.port, "vtv_requests_total", 'code="499"') == LIMIT
        assert await metric(server.port, "vtv_dropped_total", "disconnected") == LIMIT - launched

    asyncio.run(count())


def test_no_request_is_lost_or_answered_twice(server: Overloaded) -> None:
    server.engine.gate.set()

    async def client(first: int) -> None:
        for index in range(first, first + 20):
            task = index % len(TASKS)
            status, body = await ask(server.port, raw(coloured(index), TASKS[task]))
            assert (status, answered(body)) == (200, (index, task))

    async def all_clients() -> None:
        await asyncio.gather(*(client(20 * number) for number in range(40)))
        assert await metric(server.port, "vtv_requests_total", 'code="200"') == 800
        assert await metric(server.port, "vtv_batch_size_sum") == 800

    asyncio.run(all_clients())
    computed = Counter(colour for batch in server.engine.launched for colour in batch)
    assert computed == Counter(range(800))


@pytest.mark.slow
def test_images_of_one_request_are_split_and_come_back_in_order(server: Overloaded) -> None:
    server.engine.gate.set()
    colours = list(range(100, 100 + 3 * MAX_BATCH))
    parts = [b'--x\r\nContent-Disposition: form-data; name="task"\r\n\r\nidentity\r\n']
    for colour in colours:
        head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        parts.append(head + coloured(colour) + b"\r\n")
    body = b"".join([*parts, b"--x--\r\n"])
    status, reply = asyncio.run(ask(server.port, overload.request("/infer", "multipart/form-data; boundary=x", body)))
    assert status == 200
    assert [answered(file)[0] for file in overload.outputs(reply)] == colours
    assert len(server.engine.launched) > 2


def test_clients_take_turns(tmp_path: Path) -> None:
    """Two hundred images of one client do not hold up the one image of another."""
    keys = ("greedy", "modest")
    server = Overloaded(tmp_path, queue_limit=LIMIT, api_keys=keys, codec_processes=2)

    async def ask_both() -> None:
        greedy = [
            asyncio.create_task(ask(server.port, raw(coloured(index), headers="X-API-Key: greedy\r\n")))
            for index in range(200)
        ]
        await until(lambda: server.batcher.admitted == 200 and len(server.engine.launched) == 2, "a long queue")
        modest = asyncio.create_task(ask(server.port, raw(coloured(999), headers="X-API-Key: modest\r\n")))
        await until(lambda: server.batcher.admitted == 201, "the other client")
        await until(lambda: server.batcher.waiting() == 201 - sum(map(len, server.engine.launched)), "its image")
        server.engine.gate.set()
        assert [status for status, _ in await asyncio.gather(modest, *greedy)] == [200] * 201

    try:
        asyncio.run(ask_both())
    finally:
        server.stop()
    assert 999 in server.engine.launched[2]


@pytest.mark.slow
def test_an_answered_request_leaves_nothing_to_the_garbage_collector(server: Overloaded) -> None:
    """What points at itself waits for the collector, with its pictures; and then everyone waits for the collector."""

    async def some() -> None:
        for index in range(10):
            status, _ = await ask(server.port, raw(coloured(index)))
            assert status == 200

    server.engine.gate.set()
    gc.collect()
    gc.disable()
    try:
        asyncio.run(some())
        wait_until(lambda: server.batcher.admitted == 0, "the end of every request")
        kinds = (RequestRun, Job, CodecJob, ImageSpec)
        left = [kind.__name__ for thing in gc.get_objects() if (kind := type(thing)) in kinds]
    finally:
        gc.enable()
    assert left in ([], ["Job"])  # the engine's threads may still hold the last one
