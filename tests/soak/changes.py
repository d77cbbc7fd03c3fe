"""Who installs, replaces, deletes and teaches tasks while the others ask."""

import asyncio
import hashlib
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from tests.soak.clients import Soak

_PATIENCE = 3600.0
_FORCE = {"force": "true"}
"""Three pairs of noise teach nothing that is of use."""


class Administrator:
    """Versions of `identity` take turns, `flux` comes and goes, `taught` is taught, asked and deleted."""

    def __init__(self, soak: Soak, http: httpx.AsyncClient, files: dict[str, list[Path]], lesson: Any) -> None:
        self.done: Counter[str] = Counter()
        self._soak, self._http, self._lesson = soak, http, lesson
        self._files = {task: [path.read_bytes() for path in paths] for task, paths in files.items()}

    async def change(self) -> None:
        """One change after the other; each is seen at once by whoever made it."""
        turn = 0
        while self._soak.left > 0:
            turn += 1
            for task in ("identity", "flux"):
                file = self._files[task][turn % len(self._files[task])]
                await self._install(task, file)
            await asyncio.sleep(0.3)
            await self._expect("DELETE", "/tasks/flux", (204,))
            reply = await self._ask("flux")
            if reply.status_code != 404:
                self._soak.wrong.append(f"a task that was deleted answers {reply.status_code}")
            self.done["deletions"] += 1
            await asyncio.sleep(0.3)

    async def teach(self, lessons: int) -> None:
        """At even distances over the run."""
        whole = self._soak.left
        for number in range(lessons):
            while self._soak.left > whole * (1 - (number + 0.5) / lessons):
                await asyncio.sleep(0.2)
            reply = await self._expect("POST", "/tasks/taught/teach", (202,), files=self._lesson, data=_FORCE)
            address, limit, job = reply.headers.get("location", ""), time.monotonic() + _PATIENCE, {}
            while job.get("state") not in ("done", "failed", "cancelled") and time.monotonic() < limit:
                await asyncio.sleep(0.5)
                job = (await self._expect("GET", address, (200,))).json()
            if job.get("state") != "done":
                self._soak.wrong.append(f"a lesson ended as {job.get('state')}: {job.get('error')}")
                continue
            answer = await self._ask("taught")
            if (answer.status_code, answer.headers.get("x-vtv-artifact")) != (200, job["artifact"]):
                self._soak.wrong.append(f"what was taught answers {answer.status_code}")
            await self._expect("DELETE", "/tasks/taught", (204,))
            await self._expect("DELETE", address, (204,))
            self.done["lessons"] += 1

    async def _install(self, task: str, file: bytes) -> None:
        await self._expect("PUT", f"/tasks/{task}", (200, 201), content=file)
        reply, wanted = await self._ask(task), hashlib.sha256(file).hexdigest()
        if (reply.status_code, reply.headers.get("x-vtv-artifact")) != (200, wanted):
            self._soak.wrong.append(f"{task} was installed and answers {reply.status_code}")
        self.done["installs"] += 1

    async def _ask(self, task: str) -> httpx.Response:
        headers = {"Content-Type": "image/jpeg"}
        return await self._http.post(f"/infer?task={task}", content=self._soak.pictures[0], headers=headers)

    async def _expect(self, method: str, address: str, statuses: tuple[int, ...], **sent: Any) -> httpx.Response:
        reply = await self._http.request(method, address, **sent)
        if reply.status_code not in statuses:
            self._soak.wrong.append(f"{method} {address}: {reply.status_code} {reply.text[:100]}")
        return reply
