"""benchmarks: schedules, summaries, the knee, and a client that a stalled server cannot deceive."""

import asyncio
import io
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from benchmarks.connection import LOST, Connection
from benchmarks.generators import open_loop, schedule
from benchmarks.load_report import Report, as_json, table
from benchmarks.one_client import Wait, take_turns
from benchmarks.raw_speed import RawSpeed
from benchmarks.server_metrics import disagreement
from benchmarks.summary import Summary, summarise
from benchmarks.sweep import knee, sweep
from benchmarks.traffic import Mix, Sent, at_size, with_hole
from engine.holes import find_hole
from tests.support import photo


def test_fixed_arrivals_are_evenly_spaced() -> None:
    assert list(schedule(10, 0.55, "fixed")) == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])


def test_poisson_arrivals_have_the_rate_and_the_spread_of_a_poisson_process() -> None:
    times = list(schedule(1000, 20, "poisson"))
    gaps = [after - before for before, after in zip([0.0, *times], times, strict=False)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert len(times) == pytest.approx(20_000, rel=0.03)
    assert deviation == pytest.approx(mean, rel=0.05)  # of an exponential distribution they are the same


def test_latency_counts_from_when_a_request_was_due() -> None:
    sent = [Sent(due=0.0, sent=0.5, ended=0.6, status=200), Sent(due=1.0, sent=1.0, ended=1.1, status=200)]
    row = summarise([sent], bound_ms=200)
    assert row.percentile("p50") == pytest.approx(350)
    assert row.requests_per_second == pytest.approx(2 / 1.1)
    assert row.goodput_per_second == pytest.approx(1 / 1.1)
    assert row.client_lag_ms == pytest.approx(495)


def test_pauses_between_the_goes_of_a_load_do_not_count() -> None:
    goes = [[Sent(start, start, start + 0.5, 200), Sent(start, start, start + 1.0, 200)] for start in (0.0, 10.0)]
    row = summarise(goes, bound_ms=600)
    assert (row.seconds, row.requests, row.requests_per_second, row.goodput_per_second) == (2.0, 4, 2.0, 1.0)
    with pytest.raises(ValueError, match="no request was sent"):
        summarise([*goes, []], bound_ms=600)


def test_errors_are_counted_by_code_and_are_no_answers() -> None:
    sent = [Sent(0.0, 0.0, 1.0, status) for status in (200, 429, 429, LOST)]
    row = summarise([sent], bound_ms=2000)
    assert row.errors == {"429": 2, "lost": 1}
    assert row.requests_per_second == 1
    assert not row.keeps_up


def test_without_a_good_answer_there_is_no_latency() -> None:
    assert summarise([[Sent(0.0, 0.0, 1.0, 500)]], bound_ms=1).latency_ms is None


def test_the_sweep_closes_in_on_the_knee() -> None:
    def measure(rate: float) -> Summary:
        late = 0.05 if rate <= 87 else 5.0
        return summarise([[Sent(index / rate, 0, index / rate + late, 200) for index in range(50)]], 100, rate=rate)

    rows = sweep(measure, capacity=100)
    found = knee(rows)
    assert found is not None
    assert 85 < (found.offered_per_second or 0) <= 87
    assert knee(rows[-1:]) is None


def test_disagreement_is_to_the_request() -> None:
    sent = [Sent(0, 0, 1, status) for status in (200, 200, 429, LOST)]
    before = Counter({"200": 5})
    assert disagreement(before, Counter({"200": 7, "429": 1}), sent) == {}
    assert disagreement(before, Counter({"200": 8, "429": 1}), sent) == {"200": 1}
    assert disagreement(before, Counter({"200": 7}), sent) == {"429": -1}


def one_client(milliseconds: float, engine: RawSpeed | None) -> Summary:
    sent = [Sent(0.0, 0.0, milliseconds / 1e3, 200)]
    return replace(summarise([sent], bound_ms=250, clients=1), engine=engine)


def test_the_report_sets_each_load_against_the_engine_around_it() -> None:
    around = RawSpeed.mean([RawSpeed(100.0, 4), RawSpeed(140.0, 8)])
    report = Report([one_client(12.5, around)], {"tasks": ["identity"]}, {}, wait=Wait(9.0, 1.5, 2.0))
    assert as_json(report)["served_over_raw"] == pytest.approx(80 / 120)
    assert as_json(report)["one_client"] == {"step_ms": 9.0, "codec_ms": 1.5, "added_ms": 2.0}
    assert "9.00 ms for the engine's step, 1.50 for decoding and encoding, 2.00 for all else" in table(report)


def test_a_tensor_of_several_images_counts_as_so_many() -> None:
    report = Report([one_client(100.0, RawSpeed(100.0, 8))], {}, None, images=8)
    assert as_json(report)["served_over_raw"] == pytest.approx(0.8)
    assert "one client waits" not in table(report)


async def _server(replies: list[bytes]) -> tuple[asyncio.Server, str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while replies:
            await reader.readuntil(b"\r\n\r\n")
            for piece in replies.pop(0).split(b"|"):
                writer.write(piece)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def test_the_connection_reads_replies_in_pieces_and_notes_a_lost_one() -> None:
    async def talk() -> None:
        first = b"HTTP/1.1 200 OK\r\nCon|tent-Length: 5\r\n\r|\nhe|llo"
        server, url = await _server([first, b"HTTP/1.1 429 Busy\r\ncontent-length: 0\r\n\r\n", b"HTTP/1.1 200"])
        async with server:
            connection = await Connection.to(url)
            request = b"GET / HTTP/1.1\r\n\r\n"
            assert [(await connection.ask(request))[0] for _ in range(4)] == [200, 429, LOST, LOST]
            assert not connection.open

    asyncio.run(talk())


def turns_against(reply: bytes) -> tuple[list[Sent], Wait | None]:
    """One turn, with an engine that takes 20 ms."""

    async def talk() -> tuple[list[Sent], Wait | None]:
        server, url = await _server([reply] * 16)
        async with server:
            return await take_turns(url, Mix([(b"GET / HTTP/1.1\r\n\r\n", 1.0)]), lambda: 0.02, 0.0)

    return asyncio.run(talk())


def test_what_one_client_waits_for_is_the_engine_s_step_the_codec_and_the_rest() -> None:
    timing = b"queue;dur=0.1, decode;dur=0.750, compute;dur=9.0, encode;dur=0.500"
    sent, wait = turns_against(b"HTTP/1.1 200 OK\r\nserver-timing: " + timing + b"\r\ncontent-length: 0\r\n\r\n")
    assert len(sent) == 16
    assert wait is not None
    assert (wait.step_ms, wait.codec_ms) == pytest.approx((20.0, 1.25))
    typical = sorted(each.ended - each.sent for each in sent)[7:9]
    assert wait.added_ms == pytest.approx(1e3 * sum(typical) / 2 - 21.25)


@pytest.mark.parametrize("status", [b"200 OK", b"429 Busy"])
def test_nothing_is_said_of_a_client_s_wait_without_good_answers_that_tell_it(status: bytes) -> None:
    sent, wait = turns_against(b"HTTP/1.1 %b\r\ncontent-length: 0\r\n\r\n" % status)
    assert len(sent) == 16
    assert wait is None


def test_an_open_loop_does_not_wait_for_a_stalled_server() -> None:
    async def stalled() -> list[Sent]:
        asked, enough = 0, asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal asked
            await reader.readuntil(b"\r\n\r\n")
            asked += 1
            if asked == 20:
                enough.set()
            await enough.wait()  # nobody is answered before everybody has asked
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            return await open_loop(url, Mix([(b"GET / HTTP/1.1\r\n\r\n", 1.0)]), 200, 0.0975, "fixed")

    sent = asyncio.run(stalled())
    assert [each.status for each in sent] == [200] * 20
    first = min(sent, key=lambda each: each.due)
    assert first.ended - first.due > 0.09  # it waited for the last


def test_what_is_sent_has_a_hole_at_every_size() -> None:
    whole = with_hole(photo(320, 240))
    for file in (whole, at_size(whole, 64), at_size(whole, 1000)):
        assert 0.03 < find_hole(np.array(Image.open(io.BytesIO(file)))).mean() < 0.15
