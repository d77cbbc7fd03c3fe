"""Runs one server after the other under the same loads."""

import io
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np
from PIL import Image

from benchmarks.connection import Connection
from benchmarks.generators import closed_loop, open_loop, run
from benchmarks.peers import wire
from benchmarks.peers.answers import TASKS
from benchmarks.peers.entries import OURS, PEERS, Peer
from benchmarks.peers.model import VARIABLE
from benchmarks.peers.process import running
from benchmarks.server_process import ServerDied
from benchmarks.summary import OK, Summary, summarise
from benchmarks.traffic import Mix

Kind = Literal["simulated", "real"]
Workload = Literal["one", "five"]
ONE_TASK: Final = "identity"
_WORST_MEAN_DIFFERENCE: Final = 6.0
"""Grey levels between two servers' answers to one request: decoders and resizers differ a little."""


@dataclass(frozen=True, slots=True)
class Loads:
    """What each server is put under."""

    clients: Sequence[int]
    rates: Sequence[float]
    seconds: float
    warm_up: float
    bound_ms: float


@dataclass(frozen=True, slots=True)
class Row:
    """One load of one server in one pass."""

    server: str
    workload: Workload
    load: Summary


@dataclass(slots=True)
class Contest:
    """Every server with the same model; what came of it is in `rows` and `failures`."""

    kind: Kind
    model: Path
    store: Path
    scratch: Path
    pythons: Mapping[str, Path]
    image: bytes
    rows: list[Row] = field(init=False, default_factory=list)
    failures: list[str] = field(init=False, default_factory=list)
    _answers: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = field(init=False, default_factory=dict)

    def measure(self, name: str, workload: Workload, loads: Loads) -> None:
        """Start a server, check its answers, load it, and stop it. A server that fails is noted, not fatal."""
        peer = PEERS.get(name, Peer(OURS, "ours"))
        try:
            with self._running(peer) as url:
                self._check(peer, url)
                tasks = TASKS if workload == "five" else (ONE_TASK,)
                mix = Mix([(peer.build(url, task, self.image), 1.0) for task in tasks])
                run(closed_loop(url, mix, max(loads.clients), loads.warm_up))
                for clients in loads.clients:
                    sent = run(closed_loop(url, mix, clients, loads.seconds))
                    self.rows.append(Row(name, workload, summarise([sent], loads.bound_ms, clients=clients)))
                for rate in loads.rates:
                    sent = run(open_loop(url, mix, rate, loads.seconds))
                    self.rows.append(Row(name, workload, summarise([sent], loads.bound_ms, rate=rate)))
        except (ServerDied, WrongAnswer, OSError, ValueError) as error:
            self.failures.append(f"{name}, {workload}: {error}")
            print(f"{name}, {workload}: {error}", file=sys.stderr, flush=True)

    def _running(self, peer: Peer) -> AbstractContextManager[str]:
        lock_file = self.scratch / "accelerator"

        def command(port: int) -> list[str]:
            if peer.name != OURS:
                flag = [peer.port_flag] if peer.port_flag else []
                module = f"benchmarks.peers.servers.{peer.module}"
                return [str(self.pythons[peer.name]), "-m", module, *flag, str(port), *peer.arguments]
            if self.kind == "simulated":
                return [sys.executable, "-m", "benchmarks.peers.ours", str(port), "--accelerator", str(lock_file)]
            where = ["--model", str(self.model), "--store", str(self.store)]
            return [sys.executable, "-m", "cli", "serve", "--port", str(port), *where]

        behind = f"simulated {lock_file}"
        if self.kind == "real":
            behind = f"real {self.model.absolute()}{os.pathsep}{self.store.absolute()}"
        return running(peer.name, command, {VARIABLE: behind}, lambda url: peer.build(url, ONE_TASK, self.image))

    def _check(self, peer: Peer, url: str) -> None:
        """Every server has to give the same answers, or its speed means nothing. Raises WrongAnswer."""
        for task in TASKS:
            answer = _picture(url, peer.build(url, task, self.image), peer.read)
            known = self._answers.setdefault(task, answer)
            if known.shape != answer.shape or np.abs(known.astype(int) - answer).mean() > _WORST_MEAN_DIFFERENCE:
                raise WrongAnswer(f"its answer for {task} is not that of the server before it")


class WrongAnswer(Exception):
    """A server answers something else than the others."""


def _picture(url: str, request: bytes, read: wire.Read) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    async def ask() -> bytes:
        connection = await Connection.to(url)
        status, _ = await connection.ask(request)
        await connection.close()
        if status != OK:
            raise WrongAnswer(f"status {status}")
        return connection.body

    return np.asarray(Image.open(io.BytesIO(read(run(ask())))))
