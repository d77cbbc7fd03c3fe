"""Clients of every kind. Each request has an id of its own, by which the server's log tells of it."""

import asyncio
import base64
import json
import random
import re
import socket
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlsplit

from benchmarks.connection import LOST, Connection
from benchmarks.traffic import raw_request
from tests.soak.answers import Answers

_ARTIFACT = re.compile(rb"x-vtv-artifact: (\w+)", re.IGNORECASE)
_PATIENCE = 3600.0
"""Seconds: the whole machine may stand still for a while."""
BAD = {
    "no image": ("/infer?task=identity", b"no image", "image/jpeg", 422),
    "half an image": ("/infer?task=identity", b"", "image/jpeg", 422),
    "no such task": ("/infer?task=nonesuch", b"\xff\xd8", "image/jpeg", 404),
    "half JSON": ("/infer", b'{"task": "identity", "images": [', "application/json", 400),
    "no such field": ("/infer?task=identity&sise=native", b"\xff\xd8", "image/jpeg", 400),
    "no such type": ("/infer?task=identity", b"hello", "text/plain", 415),
    "no form": ("/infer", b"--x\r\nhello", "multipart/form-data; boundary=x", 400),
}


@dataclass
class Soak:
    """What the clients share: what is to be sent, and what became of it."""

    url: str
    versions: Mapping[str, Sequence[str]]
    """Of each task, the hashes that may answer."""
    pictures: Sequence[bytes]
    answers: Answers
    left: int = 0
    sent: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    """What each request's client saw, by its id; LOST where it left."""
    kinds: Counter[tuple[str, int]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    good: Counter[str] = field(default_factory=Counter)
    """Answers that were right, by task."""
    _numbers: "count[int]" = field(default_factory=count)
    _busy: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def request(self, path: str, body: bytes, kind: str, address: str) -> tuple[str, bytes]:
        """One more, by its id and as it goes over the wire."""
        self.left -= 1
        self.sent += 1
        name = f"soak-{next(self._numbers)}"
        headers = f"X-Request-ID: {name}\r\nX-Forwarded-For: {address}\r\n"
        return name, raw_request(self.url, path, body, kind, headers)

    def saw(self, name: str, kind: str, status: int) -> None:
        self.statuses[name] = status
        self.kinds[kind, status] += 1

    def check(self, task: str, picture: int, head: bytes, file: bytes) -> None:
        """An answer of 200."""
        found = _ARTIFACT.search(head)
        version = found[1].decode() if found else ""
        fault = None if version in self.versions[task] else f"{task} answered by {version!r}"
        fault = fault or self.answers.check(version, picture, file)
        if fault:
            self.wrong.append(fault)
        else:
            self.good[task] += 1


class Client:
    """Asks one request after the other, over one connection for as long as that lasts."""

    def __init__(self, soak: Soak, number: int) -> None:
        self._soak, self._draw = soak, random.Random(number)
        self._address = f"192.0.2.{number}"
        self._connection: Connection | None = None

    async def run(self) -> None:
        kinds = {self.normal: 84, self.several: 3, self.leaving: 5, self.bad: 6, self.slow: 2}
        while self._soak.left > 0:
            (kind,) = self._draw.choices(list(kinds), list(kinds.values()))
            await kind()
        await self.close()

    async def close(self) -> None:
        if self._connection is not None and self._connection.open:
            await self._connection.close()

    async def ask(self, request: bytes) -> tuple[int, bytes, bytes]:
        """Status, head and body."""
        if self._connection is None or not self._connection.open:
            self._connection = await Connection.to(self._soak.url)
        status, _ = await asyncio.wait_for(self._connection.ask(request), _PATIENCE)
        return status, self._connection.head, self._connection.body

    def _any(self) -> tuple[str, int]:
        soak = self._soak
        return self._draw.choice(list(soak.versions)), self._draw.randrange(len(soak.pictures))

    async def normal(self, kind: str = "normal", may: Sequence[int] = ()) -> None:
        """One picture, any task. A task that comes and goes may be unknown."""
        soak, (task, picture) = self._soak, self._any()
        name, request = soak.request(f"/infer?task={task}", soak.pictures[picture], "image/jpeg", self._address)
        status, head, body = await self.ask(request)
        soak.saw(name, kind, status)
        if status == 200:
            soak.check(task, picture, head, body)
        elif status not in may and not (status == 404 and task == "flux"):
            soak.wrong.append(f"{kind}: {status} {body[:100]!r}")

    async def several(self) -> None:
        """A few pictures as JSON."""
        soak, (task, _) = self._soak, self._any()
        chosen = [self._draw.randrange(len(soak.pictures)) for _ in range(self._draw.randrange(2, 5))]
        images = [base64.b64encode(soak.pictures[each]).decode() for each in chosen]
        body = json.dumps({"task": task, "images": images}).encode()
        name, request = soak.request("/infer", body, "application/json", self._address)
        status, head, reply = await self.ask(request)
        soak.saw(name, "several", status)
        if status == 200:
            outputs = json.loads(reply)["outputs"]
            for picture, output in zip(chosen, outputs, strict=True):
                soak.check(task, picture, head, base64.b64decode(output["image"]))
        elif not (status == 404 and task == "flux"):
            soak.wrong.append(f"several: {status} {reply[:100]!r}")

    async def leaving(self) -> None:
        """Hangs up at any moment, also in the middle of the body."""
        soak, (task, picture) = self._soak, self._any()
        name, request = soak.request(f"/infer?task={task}", soak.pictures[picture], "image/jpeg", self._address)
        _, writer = await self._open()
        cut = len(request) if self._draw.random() < 0.7 else self._draw.randrange(1, len(request))
        writer.write(request[:cut])
        await asyncio.sleep(self._draw.random() * 0.05)
        writer.transport.abort()
        soak.saw(name, "leaving", LOST)

    async def bad(self) -> None:
        soak = self._soak
        kind = self._draw.choice(list(BAD))
        path, body, content_type, wanted = BAD[kind]
        name, request = soak.request(path, body or soak.pictures[0][:700], content_type, self._address)
        status, _, reply = await self.ask(request)
        soak.saw(name, kind, status)
        if status != wanted:
            soak.wrong.append(f"{kind}: {status} {reply[:100]!r}")

    async def slow(self) -> None:
        """The request comes in pieces."""
        soak, (task, picture) = self._soak, self._any()
        name, request = soak.request(f"/infer?task={task}", soak.pictures[picture], "image/jpeg", self._address)
        reader, writer = await self._open()
        step = max(1, len(request) // 5)
        for start in range(0, len(request), step):
            writer.write(request[start : start + step])
            await asyncio.sleep(self._draw.random() * 0.1)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
        found = re.search(rb"content-length: (\d+)", head)
        body = await reader.readexactly(int(found[1]) if found else 0)
        writer.close()
        status = int(head[9:12])
        soak.saw(name, "slow", status)
        if status == 200:
            soak.check(task, picture, head, body)
        elif not (status == 404 and task == "flux"):
            soak.wrong.append(f"slow: {status} {body[:100]!r}")

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = urlsplit(self._soak.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return reader, writer


async def flood(soak: Soak, at_once: int = 250) -> None:
    """One client's bursts: some of each are turned away, which is no fault."""
    clients = [Client(soak, 200) for _ in range(at_once)]
    while soak.left > 0:
        await asyncio.gather(*(client.normal("flood", may=(429,)) for client in clients))
        await asyncio.sleep(10)
    for client in clients:
        await client.close()
