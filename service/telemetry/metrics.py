"""Prometheus metrics, in a registry of the application's own."""

from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass, replace
from functools import cache
from time import monotonic
from typing import Final, Literal, Protocol, TypeVar, get_args

import torch
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.slots import SlotTable
from service.connection_limits import Reason

ConnectionsT = TypeVar("ConnectionsT", bound=Sized)
DropReason = Literal["disconnected", "deadline", "queue_full", "draining"]

_STAGES: Final = ("decode", "queue", "compute", "encode")
_STAGE_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_REQUEST_BUCKETS: Final = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LAG_BUCKETS: Final = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_CONFIDENCE_BUCKETS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_BATCH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128)


# A `_created` series beside each counter doubles the page and tells an operator nothing.
disable_created_metrics()


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """What is running; the labels of `vtv_build_info`."""

    version: str
    model: str
    device: str
    backend: str = ""
    """What computes; nothing until the engine is built."""
    runtime: str = ""
    """The backend's libraries and their versions."""
    passed_over: int = 0
    """Better backends that do not work here."""


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What is counted of a batch: its images, their distinct tasks, how long it took, the batch size it ran at."""

    size: int
    tasks: int
    seconds: float
    bucket: int


class QueueState(Protocol):
    """What is told of the batcher at every scrape."""

    @property
    def admitted(self) -> int: ...
    @property
    def limit(self) -> int: ...
    @property
    def ready(self) -> bool: ...


class Metrics:
    """Everything the service counts. Safe to call from any thread."""

    def __init__(self, build: BuildInfo) -> None:
        self.registry: Final = CollectorRegistry()
        self.build = build
        self._requests = Counter(
            "vtv_requests", "Inference requests by HTTP status.", ["task", "code"], registry=self.registry
        )
        self._request_seconds = Histogram(
            "vtv_request_duration_seconds",
            "Inference requests from headers to reply.",
            ["task"],
            buckets=_REQUEST_BUCKETS,
            registry=self.registry,
        )
        stages = Histogram(
            "vtv_stage_duration_seconds",
            "An image's time in each stage.",
            ["stage"],
            buckets=_STAGE_BUCKETS,
            registry=self.registry,
        )
        self._confidence = Histogram(
            "vtv_answer_confidence",
            "Confidence of answers, where it was measured.",
            ["task"],
            buckets=_CONFIDENCE_BUCKETS,
            registry=self.registry,
        )
        self._batch_size = Histogram(
            "vtv_batch_size", "Images in a batch.", buckets=_BATCH_BUCKETS, registry=self.registry
        )
        self._batch_tasks = Histogram(
            "vtv_batch_tasks", "Distinct tasks in a batch.", buckets=_BATCH_BUCKETS, registry=self.registry
        )
        self._batches = Counter("vtv_batches", "Batches computed.", ["bucket", "backend"], registry=self.registry)
        self._dropped = Counter(
            "vtv_dropped", "Requests dropped before the engine started on them.", ["reason"],
            registry=self.registry,
        )  # fmt: skip
        self._refused = Counter(
            "vtv_artifacts_refused", "Artifacts in the store that were refused.", registry=self.registry
        )
        self._store_failures = Counter(
            "vtv_store_failures", "Looks at the store, and reads, that failed.", registry=self.registry
        )
        self._store_up = Gauge("vtv_store_up", "1 when the last look at the store went well.", registry=self.registry)
        self._store_age = Gauge(
            "vtv_store_look_age_seconds", "Since the last look at the store that went well.", registry=self.registry
        )
        self._store_seen = monotonic()
        self._store_age.set_function(lambda: monotonic() - self._store_seen)
        self._store_stuck = Gauge(
            "vtv_store_calls_stuck", "Calls to the store that were given up and are not back.", registry=self.registry
        )
        self._loop_lag = Histogram(
            "vtv_event_loop_lag_seconds",
            "How late the event loop is at what is due.",
            buckets=_LAG_BUCKETS,
            registry=self.registry,
        )
        self._missing = Gauge(
            "vtv_tasks_missing", "Tasks that are served, and missing from the store.", registry=self.registry
        )
        self._busy = Counter("vtv_engine_busy_seconds", "Time spent computing.", registry=self.registry)
        self._restarts = Counter("vtv_engine_restarts", "Engines rebuilt after a failure.", registry=self.registry)
        self._codec_deaths = Counter(
            "vtv_codec_restarts", "Codec processes that died and were replaced.", registry=self.registry
        )
        self._bad_answers = Counter(
            "vtv_bad_answers", "Answers that were none, whatever the picture: 500.", registry=self.registry
        )

        self._jobs = Counter("vtv_jobs", "Teach jobs that are over.", ["outcome"], registry=self.registry)
        self._active_jobs = Gauge("vtv_jobs_active", "Teach jobs that run or wait.", registry=self.registry)

        self._connections = Gauge("vtv_connections", "Connections open.", registry=self.registry)
        self._connections_dropped = Counter(
            "vtv_connections_dropped", "Connections closed for what they cost.", ["reason"], registry=self.registry
        )
        self._answered = cache(self._label_request)
        # Series that exist from the start: the first event is then a rise, and none is told from no data.
        self._stage: Final = {stage: stages.labels(stage) for stage in _STAGES}
        for reason in get_args(DropReason):
            self._dropped.labels(reason)
        for why in get_args(Reason):
            self._connections_dropped.labels(why)
        for outcome in ("done", "failed", "cancelled"):
            self._jobs.labels(outcome)

    def observe(self, queue: QueueState, slots: SlotTable, faulty: Sized) -> None:
        """Report the state of these at every scrape; `faulty` are the tasks out of service."""
        self.registry.register(_Snapshot(self, queue, slots, faulty))

    def engine_built(self, backend: str, runtime: str, passed_over: int) -> None:
        """What computes from now on."""
        self.build = replace(self.build, backend=backend, runtime=runtime, passed_over=passed_over)

    def request(self, task: str, code: int, seconds: float) -> None:
        """One inference request is answered. `task` is only ever an installed task's name."""
        count, duration = self._answered(task, code)
        count.inc()
        duration.observe(seconds)

    def watch(self, connections: ConnectionsT) -> ConnectionsT:
        """Tell how many there are at every scrape."""
        self._connections.set_function(lambda: len(connections))
        return connections

    def connection_dropped(self, reason: str) -> None:
        self._connections_dropped.labels(reason).inc()

    def task_retired(self, task: str) -> None:
        """Its series go: a task that is no more has no rate, and whoever makes tasks makes no end of labels."""
        for by_task in (self._requests, self._request_seconds, self._confidence):
            by_task.remove_by_labels({"task": task})
        self._answered.cache_clear()

    def _label_request(self, task: str, code: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(task, str(code)), self._request_seconds.labels(task)

    def stages(self, milliseconds: Mapping[str, float]) -> None:
        """One image's way: decode, queue, compute, encode."""
        for stage, spent in milliseconds.items():
            self._stage[stage].observe(spent / 1e3)

    def batch(self, report: BatchReport) -> None:
        self._batch_size.observe(report.size)
        self._batch_tasks.observe(report.tasks)
        self._batches.labels(str(report.bucket), self.build.backend).inc()
        self._busy.inc(report.seconds)

    def engine_restarted(self) -> None:
        self._restarts.inc()

    def codec_process_died(self) -> None:
        self._codec_deaths.inc()

    def bad_answer(self) -> None:
        self._bad_answers.inc()

    def jobs(self, active: int, ended: str | None = None) -> None:
        """Teach jobs now in hand; how one of them ended, if one did."""
        self._active_jobs.set(active)
        if ended is not None:
            self._jobs.labels(ended).inc()

    def artifact_refused(self) -> None:
        self._refused.inc()

    def confidence(self, task: str, confidence: float) -> None:
        """Of one answer. `task` is only ever an installed task's name."""
        self._confidence.labels(task).observe(confidence)

    def store_failed(self) -> None:
        self._store_failures.inc()

    def store_seen(self, well: bool) -> None:
        """How the last look at the store went."""
        self._store_up.set(well)
        if well:
            self._store_seen = monotonic()

    def store_calls_stuck(self, count: int) -> None:
        self._store_stuck.set(count)

    def loop_lag(self, seconds: float) -> None:
        """At one beat of the event loop."""
        self._loop_lag.observe(seconds)

    def tasks_missing(self, count: int) -> None:
        """How many served tasks the store lacks now."""
        self._missing.set(count)

    def dropped(self, reason: DropReason) -> None:
        self._dropped.labels(reason).inc()


class _Snapshot(Collector):
    """State that lives elsewhere, read when scraped."""

    def __init__(self, metrics: Metrics, queue: QueueState, slots: SlotTable, faulty: Sized) -> None:
        self._metrics = metrics
        self._queue = queue
        self._slots = slots
        self._faulty = faulty

    def collect(self) -> Iterator[Metric]:
        queue, slots, build = self._queue, self._slots, self._metrics.build
        yield _gauge("vtv_queue_depth", "Images in hand.", queue.admitted)
        yield _gauge("vtv_queue_limit", "Images in hand at most.", queue.limit)
        yield _gauge("vtv_engine_ready", "1 when warmed up and checked.", queue.ready)
        yield _gauge("vtv_engine_fallbacks", "Better backends that do not work here.", build.passed_over)
        bank = GaugeMetricFamily("vtv_bank_slots", "Rows of the bank but the no-op.", labels=["state"])
        bank.add_metric(["pinned"], slots.pinned)
        bank.add_metric(["idle"], slots.used - slots.pinned)
        bank.add_metric(["free"], slots.capacity - 1 - slots.used)
        yield bank
        yield CounterMetricFamily("vtv_bank_installs", "Tasks written to the bank.", slots.installs)
        yield CounterMetricFamily("vtv_bank_evictions", "Tasks overwritten.", slots.evictions)
        yield _gauge("vtv_tasks_faulty", "Tasks out of service, as their version is faulty.", len(self._faulty))
        yield _gauge("vtv_gpu_memory_bytes", "GPU memory the engine reserves.", _reserved(build.device))
        yield InfoMetricFamily(
            "vtv_build",
            "What is running.",
            {
                "version": build.version,
                "model": build.model,
                "backend": build.backend,
                "runtime": build.runtime,
                "device": build.device,
            },
        )


def _reserved(device: str) -> int:
    """Bytes; from the allocator's own books, as asking the driver could disturb a graph's capture."""
    return torch.cuda.memory_reserved(device) if device.startswith("cuda") else 0


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value)
