"""The client that blocks."""

import time
from collections.abc import Generator, Iterable
from typing import Self, Unpack

import httpx

from vtv_client import _requests
from vtv_client._call import LIMITS, Call, Target
from vtv_client._requests import File, Options, Request, Result, read_file, read_files
from vtv_client._streams import Outcome, Pause, Source, in_threads
from vtv_client.answer import Answer
from vtv_client.classification import Classification
from vtv_client.errors import VTVError
from vtv_client.job import Job
from vtv_client.task import Task


class Client:
    """Asks a server; safe to share between threads.

    Connections are reused: keep one client for many calls, and close it, or use it in a `with` statement.
    Every call may raise a `VTVError`, and OSError for a file that cannot be read.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        admin_key: str | None = None,
        timeout: float = 30.0,
        retries: int = 5,
        http: httpx.Client | None = None,
    ) -> None:
        """For the server at `url`. Raises ValueError for an address that is none.

        `admin_key` is for `install`, `retire` and teaching; where there is only one key, it is used for everything.
        `timeout` is seconds for a whole call, `retries` included; the server drops what it did not start in that time.
        `http` replaces the connection pool, for proxies or certificates, and is closed with the client.
        """
        self._target = Target(url, api_key, admin_key, timeout, retries)
        self._http = http or httpx.Client(limits=LIMITS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def infer(self, task: str, image: File, *, mask: File | None = None, **options: Unpack[Options]) -> Answer:
        """The answer to one image. `mask` is white where a task that fills holes shall paint, of the image's size."""
        hole = None if mask is None else read_file(mask)
        return self._send(_requests.infer(task, read_file(image), hole, options))

    def infer_many(
        self, task: str, images: Iterable[File], *, masks: Iterable[File] = (), **options: Unpack[Options]
    ) -> list[Answer]:
        """The answers to several images, in their order, in one request; with one mask for each, or none."""
        return self._send(_requests.infer_many(task, read_files(images), read_files(masks), options))

    def classify(self, task: str, image: File, *, top_k: int | None = None) -> Classification:
        """Which class an image shows, for a task that answers with classes: the likeliest `top_k`, by default 5."""
        return self._send(_requests.classify(task, read_file(image), top_k))

    def classify_many(self, task: str, images: Iterable[File], *, top_k: int | None = None) -> list[Classification]:
        """As `classify`, of several images, in their order, in one request."""
        return self._send(_requests.classify_many(task, read_files(images), top_k))

    def one_shot(
        self,
        example_input: File,
        example_output: File,
        images: Iterable[File],
        **options: Unpack[Options],
    ) -> list[Answer]:
        """The answers to images after a solved example in place of a task, in their order, in one request."""
        example = read_file(example_input), read_file(example_output)
        return self._send(_requests.one_shot(*example, read_files(images), options))

    def stream(
        self, task: str, images: Iterable[Source], *, concurrency: int = 8, **options: Unpack[Options]
    ) -> Generator[tuple[Source, Outcome], None, None]:
        """Each image with its answer, as they are done: not in their order, so that none waits for a slow one.

        `concurrency` images are asked for at once, and no further one is taken from `images` until an answer was
        taken from here. An image that fails comes with its error, VTVError or OSError, and the others go on.
        """

        def ask(image: Source, pause: Pause) -> Answer:
            return self._send(_requests.infer(task, read_file(image), None, options), pause)

        return in_threads(ask, images, concurrency)

    def tasks(self) -> list[Task]:
        """What can be asked for."""
        return self._send(_requests.tasks())

    def task(self, name: str) -> Task:
        """One task."""
        return self._send(_requests.task(name))

    def install(self, name: str, artifact: File) -> Task:
        """Serve an artifact's file from now on, under its task's name. Needs the admin key."""
        return self._send(_requests.install(name, read_file(artifact)))

    def retire(self, name: str) -> None:
        """Serve a task no more. Needs the admin key."""
        self._send(_requests.retire(name))

    def teach(self, name: str, inputs: Iterable[File], outputs: Iterable[File], *, force: bool = False) -> Job:
        """Have the server make a task of pairs: input i is to become output i. Needs the admin key.

        The job goes on after the reply: `wait` for it, or ask for it again with `job`. `force` installs the task even
        if its vector is no better than none.
        """
        return self._send(_requests.teach(name, read_files(inputs), read_files(outputs), force))

    def teach_classes(self, name: str, images: Iterable[File], labels: Iterable[str], *, force: bool = False) -> Job:
        """As `teach`, of a task that tells classes apart: image i shows class `labels[i]`."""
        return self._send(_requests.teach_classes(name, read_files(images), labels, force))

    def job(self, job_id: str) -> Job:
        """A job as it is now. Needs the admin key."""
        return self._send(_requests.job(job_id))

    def jobs(self) -> list[Job]:
        """Every job that the server remembers. Needs the admin key."""
        return self._send(_requests.jobs())

    def cancel(self, job_id: str) -> None:
        """Stop a job, or have one forgotten that is over. Needs the admin key."""
        self._send(_requests.cancel(job_id))

    def wait(self, job: Job, every: float = 1.0) -> Job:
        """The job once it is over, asked for again `every` so many seconds. It may have failed: see its `state`."""
        while not job.ended:
            time.sleep(every)
            job = self.job(job.id)
        return job

    def _send(self, request: Request[Result], pause: Pause = time.sleep) -> Result:
        call = Call(self._target, request)
        while True:
            try:
                return call.read(self._http.request(**call.arguments()))
            except (VTVError, httpx.RequestError) as failure:
                seconds = call.pause(failure)
            pause(seconds)
