"""service.fair_queue: whose turn it is."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.batching.jobs import Job, Ticket
from service.fair_queue import FairQueue

PIXELS = np.zeros(3, np.uint8)


def job(client: str, queued_at: float = 0.0) -> Job:
    made = Job(Ticket(1, client), "zero_shot", PIXELS, 0, "task", float("inf"))
    made.queued_at = queued_at
    return made


def client_of(waiting: Job) -> str:
    return waiting.ticket.client


def test_clients_take_turns_and_each_keeps_its_order() -> None:
    queue = FairQueue(client_of)
    greedy = [job("greedy") for _ in range(4)]
    modest = [job("modest") for _ in range(2)]
    for each in (*greedy, *modest):
        queue.push(each)
    wanted = [greedy[0], modest[0], greedy[1], modest[1], greedy[2], greedy[3]]
    assert queue.drain() == wanted
    assert len(queue) == 0


def test_a_removed_job_is_not_popped_and_an_empty_lane_has_no_turn() -> None:
    queue = FairQueue(client_of)
    gone, stays, other = job("a"), job("a"), job("b")
    for each in (gone, other, stays):
        queue.push(each)
    queue.remove(gone)
    assert len(queue) == 2
    queue.remove(gone)
    assert len(queue) == 2
    queue.remove(other)
    assert len(queue) == 1
    assert queue.pop() is stays


def test_the_first_of_each_lane_and_the_next_of_all_are_told() -> None:
    queue = FairQueue(client_of)
    assert not list(queue.first_of_each())
    jobs = [job("a", 3.0), job("b", 1.0), job("b", 2.0)]
    for each in jobs:
        queue.push(each)
    assert list(queue.first_of_each()) == jobs[:2]
    while queue:
        assert queue.next() is queue.pop()


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_whoever_waits_is_never_more_than_one_round_behind(clients: list[str]) -> None:
    queue = FairQueue(client_of)
    jobs = [job(client) for client in clients]
    for each in jobs:
        queue.push(each)
    popped = queue.drain()
    assert sorted(map(id, popped)) == sorted(map(id, jobs))
    for client in set(clients):
        places = [place for place, each in enumerate(popped) if each.ticket.client == client]
        assert [popped[place] for place in places] == [each for each in jobs if each.ticket.client == client]
        assert all(after - before <= len(set(clients)) for before, after in pairwise(places))
