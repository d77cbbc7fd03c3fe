"""Discrete-event simulation of many servers behind one balancer: how many are needed, and what queue they may have.

    python -m benchmarks.fleet_simulation

Requests arrive at random (Poisson), for a second in ten twice as densely. Each goes to the less busy of two servers
and waits for the batch that the engine takes next: all that waits, up to the largest, in `fixed + each * pictures`
seconds, as measured (docs/benchmarks.md). Servers fail and come back, and are taken out in turn by a rollout. The
first fleets are one server without bursts and failures, at rates of benchmarks/results/load-sweep-cpu.json: to be
compared with what was measured there. Prints a JSON object for each fleet.
"""

import json
import random
from collections.abc import Generator
from dataclasses import asdict, dataclass
from typing import Any

import simpy

LARGEST_BATCH = 8
DETECT_SECONDS = 1.5
"""Until the balancer's checks take a server out."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """What is simulated. Times in seconds."""

    servers: int
    load: float
    """Mean arrivals as a share of what all servers answer at best."""
    queue_limit: int = 256
    fixed: float = 0.0066
    each: float = 0.0074
    burst: float = 2.0
    """For a second in ten, arrivals are this many times as dense."""
    failures_per_hour: float = 1.0
    """Of each server; 0 for none."""
    repair: float = 30.0
    rollout: bool = False
    seconds: float = 60.0

    @property
    def best(self) -> float:
        """Requests a second of one server with full batches."""
        return LARGEST_BATCH / (self.fixed + self.each * LARGEST_BATCH)


class Server:
    """Requests in hand, by the time they came; the engine takes up to LARGEST_BATCH at once."""

    def __init__(self, env: simpy.Environment, fleet: Fleet, done: list[float]) -> None:
        self.env, self.fleet, self.done = env, fleet, done
        self.waiting: list[float] = []
        self.computing: list[float] = []
        self.up, self.listed = True, True
        self.lost = 0
        self.wake = env.event()
        self.process = env.process(self.work())

    @property
    def in_hand(self) -> int:
        """Admitted and not answered."""
        return len(self.waiting) + len(self.computing)

    def take(self) -> None:
        """A request comes."""
        self.waiting.append(self.env.now)
        if not self.wake.triggered:
            self.wake.succeed()

    def work(self) -> Generator[simpy.Event, Any, Any]:
        """Batch after batch."""
        while True:
            if not self.waiting:
                self.wake = self.env.event()
                yield self.wake
            self.computing, self.waiting = self.waiting[:LARGEST_BATCH], self.waiting[LARGEST_BATCH:]
            yield self.env.timeout(self.fleet.fixed + self.fleet.each * len(self.computing))
            if self.up:
                self.done.extend(self.env.now - came for came in self.computing)
            self.computing = []

    def fail(self) -> None:
        """All that is in hand is lost."""
        self.lost += self.in_hand
        self.waiting, self.computing, self.up = [], [], False


def simulate(fleet: Fleet, seed: int = 0) -> dict[str, Any]:
    """Percentiles and shares of one run."""
    env, draw, done = simpy.Environment(), random.Random(seed), list[float]()
    servers = [Server(env, fleet, done) for _ in range(fleet.servers)]
    counted = {"arrived": 0, "turned_away": 0, "lost": 0}

    def choose() -> Server:
        # Two at random, the one with less in hand: what balancers of this size do in place of looking at all.
        listed = [server for server in (draw.choice(servers) for _ in range(4)) if server.listed] or servers
        return min(listed[:2], key=lambda server: server.in_hand)

    def arrivals() -> Generator[simpy.Event, Any, Any]:
        mean = fleet.load * fleet.best * fleet.servers / (0.9 + 0.1 * fleet.burst)
        while True:
            dense = fleet.burst if int(env.now) % 10 == 5 else 1.0
            yield env.timeout(draw.expovariate(mean * dense))
            counted["arrived"] += 1
            server = choose()
            if not server.up:  # the balancer does not know yet: it tries another
                server = choose()
            if not server.up:
                counted["lost"] += 1
            elif server.in_hand >= fleet.queue_limit:
                counted["turned_away"] += 1
            else:
                server.take()

    def failures(server: Server) -> Generator[simpy.Event, Any, Any]:
        while True:
            yield env.timeout(draw.expovariate(fleet.failures_per_hour / 3600))
            server.fail()
            yield env.timeout(DETECT_SECONDS)
            server.listed = False
            yield env.timeout(fleet.repair)
            server.up = server.listed = True

    def rollout() -> Generator[simpy.Event, Any, Any]:
        together = max(1, fleet.servers // 20)
        for start in range(0, fleet.servers, together):
            part = servers[start : start + together]
            for server in part:
                server.listed = False  # it drains: what it has in hand is answered
            yield env.timeout(5.0)
            for server in part:
                server.listed = True

    env.process(arrivals())
    for server in servers if fleet.failures_per_hour else []:
        env.process(failures(server))
    if fleet.rollout:
        env.process(rollout())
    env.run(until=fleet.seconds)
    done.sort()
    lost = counted["lost"] + sum(server.lost for server in servers)
    return asdict(fleet) | {
        "requests": counted["arrived"],
        "p50_ms": round(1e3 * done[len(done) // 2]),
        "p99_ms": round(1e3 * done[int(0.99 * len(done))]),
        "turned_away_share": round(counted["turned_away"] / counted["arrived"], 5),
        "lost_share": round(lost / counted["arrived"], 6),
    }


FLEETS = (
    *(Fleet(1, rate / Fleet(1, 1).best, burst=1, failures_per_hour=0, seconds=300) for rate in (29, 58, 81, 87, 92)),
    *(Fleet(count, load) for count in (1, 3, 10, 100) for load in (0.4, 0.6, 0.8, 0.95)),
    *(Fleet(10, 0.8, queue_limit=limit) for limit in (16, 32, 64, 128)),
    Fleet(100, 0.6, rollout=True),
    Fleet(1000, 0.6, seconds=10.0),
)

if __name__ == "__main__":
    for fleet in FLEETS:
        print(json.dumps(simulate(fleet)), flush=True)
