"""Python clients of the service.

    with VTVClient("http://localhost:8000") as client:
        mask = client.infer("segmentation", Path("photo.jpg"), size="original").image

Connections are reused: keep one client for many calls. `timeout` is for a whole call, retries included, and the
server drops what it did not start in that time. What is raised is in `vtv_client.errors`.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final, Self, Unpack

import httpx

from service.http.schemas import TaskInfo, TaskList
from vtv_client._protocol import (
    Answer,
    Asked,
    Attempts,
    File,
    Wanted,
    ask_install,
    ask_many,
    ask_one,
    ask_retire,
    ask_tasks,
    checked,
    many_answers,
    one_answer,
)
from vtv_client.errors import VTVError

_LIMITS: Final = httpx.Limits(max_connections=100, max_keepalive_connections=100)
_LONGEST_TIMEOUT_MS: Final = 999_999_999


class _Base:
    def __init__(self, url: str, key: str | None, timeout: float, retries: int) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout = timeout
        self._retries = retries

    def _attempts(self) -> Attempts:
        return Attempts(self._timeout, self._retries)

    def _arguments(self, asked: Asked, seconds: float) -> dict[str, Any]:
        arguments = asdict(asked)
        arguments["url"] = self._url + arguments.pop("path")
        milliseconds = max(1, min(int(1e3 * seconds), _LONGEST_TIMEOUT_MS))
        arguments["headers"] |= self._headers | {"X-VTV-Timeout-Ms": str(milliseconds)}
        return arguments | {"timeout": seconds}


class VTVClient(_Base):
    """Asks a server; safe to share between threads."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout: float = 30.0,
        retries: int = 5,
        http: httpx.Client | None = None,
    ) -> None:
        """`key` is an API key, or the admin's; `http` replaces the connection pool, for proxies or certificates."""
        super().__init__(url, key, timeout, retries)
        self._http = http or httpx.Client(limits=_LIMITS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def infer(self, task: str, image: File, **wanted: Unpack[Wanted]) -> Answer:
        """The answer to one image."""
        return one_answer(self._send(ask_one(task, image, wanted)))

    def infer_many(self, task: str, images: Sequence[File], **wanted: Unpack[Wanted]) -> list[Answer]:
        """The answers to several images, in their order, in one request."""
        return many_answers(self._send(ask_many(task, images, wanted)))

    def one_shot(
        self, example: tuple[File, File], images: Sequence[File], **wanted: Unpack[Wanted]
    ) -> list[Answer]:
        """Answers after an example pair (input, output) in place of a task."""
        return many_answers(self._send(ask_many(None, images, wanted, example)))

    def tasks(self) -> list[TaskInfo]:
        """What can be asked for."""
        return TaskList.model_validate_json(self._send(ask_tasks()).content).tasks

    def install(self, task: str, artifact: File) -> TaskInfo:
        """Install an artifact file under its task's name; needs the admin key."""
        return TaskInfo.model_validate_json(self._send(ask_install(task, artifact)).content)

    def retire(self, task: str) -> None:
        """Retire a task; needs the admin key."""
        self._send(ask_retire(task))

    def _send(self, asked: Asked) -> httpx.Response:
        attempts = self._attempts()
        while True:
            try:
                return checked(self._http.request(**self._arguments(asked, attempts.left())))
            except (VTVError, httpx.TransportError) as error:
                seconds = attempts.pause(error)
            time.sleep(seconds)


class AsyncVTVClient(_Base):
    """The same for asyncio."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout: float = 30.0,
        retries: int = 5,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        super().__init__(url, key, timeout, retries)
        self._http = http or httpx.AsyncClient(limits=_LIMITS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def infer(self, task: str, image: File, **wanted: Unpack[Wanted]) -> Answer:
        """The answer to one image."""
        return one_answer(await self._send(ask_one(task, image, wanted)))

    async def infer_many(self, task: str, images: Sequence[File], **wanted: Unpack[Wanted]) -> list[Answer]:
        """The answers to several images, in their order, in one request."""
        return many_answers(await self._send(ask_many(task, images, wanted)))

    async def one_shot(
        self, example: tuple[File, File], images: Sequence[File], **wanted: Unpack[Wanted]
    ) -> list[Answer]:
        """Answers after an example pair (input, output) in place of a task."""
        return many_answers(await self._send(ask_many(None, images, wanted, example)))

    async def tasks(self) -> list[TaskInfo]:
        """What can be asked for."""
        return TaskList.model_validate_json((await self._send(ask_tasks())).content).tasks

    async def install(self, task: str, artifact: File) -> TaskInfo:
        """Install an artifact file under its task's name; needs the admin key."""
        return TaskInfo.model_validate_json((await self._send(ask_install(task, artifact))).content)

    async def retire(self, task: str) -> None:
        """Retire a task; needs the admin key."""
        await self._send(ask_retire(task))

    async def _send(self, asked: Asked) -> httpx.Response:
        attempts = self._attempts()
        while True:
            try:
                return checked(await self._http.request(**self._arguments(asked, attempts.left())))
            except (VTVError, httpx.TransportError) as error:
                seconds = attempts.pause(error)
            await asyncio.sleep(seconds)
