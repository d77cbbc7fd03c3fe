"""What all forms of inference request have in common: key, deadline, count, headers, problems."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from time import perf_counter, time_ns
from typing import Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from service.errors import InvalidRequest, ServiceError, ShareFull
from service.http.auth import Authenticator
from service.http.calls import task_in
from service.http.problems import problem
from service.http.refusals import Refusals
from service.pipeline.call import Call, Outcome, Painted
from service.pipeline.interruption import Interruption
from service.pipeline.pipeline import Pipeline
from service.telemetry.metrics import Metrics
from service.telemetry.record import Record
from service.telemetry.timing import Timing

TIMEOUT_HEADER: Final = "X-VTV-Timeout-Ms"
AnyCall = TypeVar("AnyCall", bound=Call)


@dataclass(frozen=True, slots=True)
class InferHandler:
    """Answers requests with the pipeline."""

    pipeline: Pipeline
    metrics: Metrics
    authenticator: Authenticator
    timeout_ms: int
    """Deadline of a request that names none."""
    refusals: Refusals = field(default_factory=Refusals)

    async def answer(
        self,
        request: Request,
        read: Callable[[], Awaitable[AnyCall]],
        write: Callable[[AnyCall, Outcome], Awaitable[Response]],
    ) -> Response:
        """Check, `read` and answer a request, and `write` the reply; problems are written here."""
        record = Record.of(request.scope)
        started = perf_counter()
        status = HTTPStatus.INTERNAL_SERVER_ERROR.value
        try:
            response = await self._answer(request, read, write, record)
            status = response.status_code
            return response
        except ServiceError as error:
            if isinstance(error, ShareFull):
                await self.refusals.turn(self.authenticator.client(request))
            record.code = error.code
            status = error.status
            response = problem(error, request.url.path)
            response.headers["Server-Timing"] = Timing().header()
            return response
        finally:
            # A task may have been retired meanwhile, and its series with it.
            task = record.task if self.pipeline.registry.has(record.task) else ""
            self.metrics.request(task, status, perf_counter() - started)

    async def _answer(
        self,
        request: Request,
        read: Callable[[], Awaitable[AnyCall]],
        write: Callable[[AnyCall, Outcome], Awaitable[Response]],
        record: Record,
    ) -> Response:
        self.authenticator.may_infer(request.headers)
        record.task = self._named_task(request)
        client = self.authenticator.client(request)
        self.pipeline.check_room(client)
        with Interruption(_timeout_seconds(request, self.timeout_ms)) as interruption:
            call = await read()
            record.images = len(call.images)
            if call.options.task is not None:
                record.task = self.pipeline.registry.task(call.options.task).name
            record.admitted_ns = time_ns()
            interruption.watch(request.receive)
            outcome = await self.pipeline.answer(call, client, interruption)
        record.timing = outcome.timing
        response = await write(call, outcome)
        response.raw_headers.append((b"server-timing", outcome.timing.header().encode()))
        if outcome.task is not None:
            response.raw_headers.append((b"x-vtv-artifact", outcome.task.hash.encode()))
        if isinstance(outcome, Painted) and (confidence := outcome.confidence) is not None:
            response.raw_headers.append((b"x-vtv-confidence", b"%.3f" % confidence))
            for answer in outcome.answers if self.pipeline.registry.has(record.task) else ():
                self.metrics.confidence(record.task, answer.confidence or 0.0)
        return response

    def _named_task(self, request: Request) -> str:
        """The task that the address names, where it is an installed one; a body may still name another."""
        task = request.path_params.get("task") or task_in(request.scope["query_string"])
        return task if self.pipeline.registry.has(task) else ""


def _timeout_seconds(request: Request, longest_ms: int) -> float:
    """The request's own deadline where it is shorter than the server's."""
    given = request.headers.get(TIMEOUT_HEADER)
    if given is None:
        return longest_ms / 1e3
    if not (given.isascii() and given.isdecimal() and len(given) < 10):
        raise InvalidRequest(f"{TIMEOUT_HEADER} must be a whole number of milliseconds.")
    return min(int(given), longest_ms) / 1e3
