"""The client for asyncio."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Self, Unpack

import httpx

from vtv_client import _requests
from vtv_client._call import LIMITS, Call, Target
from vtv_client._requests import File, Options, Request, Result, read_file, read_files
from vtv_client._streams import Outcome, Source, in_tasks
from vtv_client.answer import Answer
from vtv_client.classification import Classification
from vtv_client.errors import VTVError
from vtv_client.job import Job
from vtv_client.task import Task


class AsyncClient:
    """What `Client` is, with methods to be awaited; files are read in threads."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        admin_key: str | None = None,
        timeout: float = 30.0,
        retries: int = 5,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """As `Client`."""
        self._target = Target(url, api_key, admin_key, timeout, retries)
        self._http = http or httpx.AsyncClient(limits=LIMITS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def infer(self, task: str, image: File, *, mask: File | None = None, **options: Unpack[Options]) -> Answer:
        """The answer to one image. `mask` is white where a task that fills holes shall paint, of the image's size."""
        hole = None if mask is None else await _read(mask)
        return await self._send(_requests.infer(task, await _read(image), hole, options))

    async def infer_many(
        self, task: str, images: Iterable[File], *, masks: Iterable[File] = (), **options: Unpack[Options]
    ) -> list[Answer]:
        """The answers to several images, in their order, in one request; with one mask for each, or none."""
        contents = await asyncio.to_thread(read_files, images)
        holes = await asyncio.to_thread(read_files, masks)
        return await self._send(_requests.infer_many(task, contents, holes, options))

    async def classify(self, task: str, image: File, *, top_k: int | None = None) -> Classification:
        """As `Client.classify`."""
        return await self._send(_requests.classify(task, await _read(image), top_k))

    async def classify_many(
        self, task: str, images: Iterable[File], *, top_k: int | None = None
    ) -> list[Classification]:
        """As `Client.classify_many`."""
        contents = await asyncio.to_thread(read_files, images)
        return await self._send(_requests.classify_many(task, contents, top_k))

    async def one_shot(
        self, example_input: File, example_output: File, images: Iterable[File], **options: Unpack[Options]
    ) -> list[Answer]:
        """The answers to images after a solved example in place of a task, in their order, in one request."""
        example = await asyncio.to_thread(read_files, (example_input, example_output))
        contents = await asyncio.to_thread(read_files, images)
        return await self._send(_requests.one_shot(example[0], example[1], contents, options))

    def stream(
        self, task: str, images: Iterable[Source], *, concurrency: int = 8, **options: Unpack[Options]
    ) -> AsyncGenerator[tuple[Source, Outcome], None]:
        """As `Client.stream`, for `async for`."""

        async def ask(image: Source) -> Answer:
            return await self.infer(task, image, **options)

        return in_tasks(ask, images, concurrency)

    async def tasks(self) -> list[Task]:
        """What can be asked for."""
        return await self._send(_requests.tasks())

    async def task(self, name: str) -> Task:
        """One task."""
        return await self._send(_requests.task(name))

    async def install(self, name: str, artifact: File) -> Task:
        """Serve an artifact's file from now on, under its task's name. Needs the admin key."""
        return await self._send(_requests.install(name, await _read(artifact)))

    async def retire(self, name: str) -> None:
        """Serve a task no more. Needs the admin key."""
        await self._send(_requests.retire(name))

    async def teach(self, name: str, inputs: Iterable[File], outputs: Iterable[File], *, force: bool = False) -> Job:
        """As `Client.teach`."""
        given, wanted = [await asyncio.to_thread(read_files, files) for files in (inputs, outputs)]
        return await self._send(_requests.teach(name, given, wanted, force))

    async def teach_classes(
        self, name: str, images: Iterable[File], labels: Iterable[str], *, force: bool = False
    ) -> Job:
        """As `Client.teach_classes`."""
        given = await asyncio.to_thread(read_files, images)
        return await self._send(_requests.teach_classes(name, given, labels, force))

    async def job(self, job_id: str) -> Job:
        """A job as it is now. Needs the admin key."""
        return await self._send(_requests.job(job_id))

    async def jobs(self) -> list[Job]:
        """Every job that the server remembers. Needs the admin key."""
        return await self._send(_requests.jobs())

    async def cancel(self, job_id: str) -> None:
        """Stop a job, or have one forgotten that is over. Needs the admin key."""
        await self._send(_requests.cancel(job_id))

    async def wait(self, job: Job, every: float = 1.0) -> Job:
        """As `Client.wait`."""
        while not job.ended:
            await asyncio.sleep(every)
            job = await self.job(job.id)
        return job

    async def _send(self, request: Request[Result]) -> Result:
        call = Call(self._target, request)
        while True:
            try:
                return call.read(await self._http.request(**call.arguments()))
            except (VTVError, httpx.RequestError) as failure:
                seconds = call.pause(failure)
            await asyncio.sleep(seconds)


async def _read(file: File) -> bytes:
    return file if isinstance(file, bytes) else await asyncio.to_thread(read_file, file)
