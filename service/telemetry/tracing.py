"""OpenTelemetry traces over OTLP: a span for each request, with its stages inside.

Needs the extra `otel`. The exporter reads the standard `OTEL_` variables itself.
"""

from collections.abc import Callable, Iterator
from typing import Final

from service.settings import SettingsError
from service.telemetry.record import Record

Sink = Callable[[Record], None]
_NOT_INSTALLED: Final = (
    "OTEL_EXPORTER_OTLP_ENDPOINT is set, but the packages for traces are missing: install the extra otel"
)
_NS_PER_MS: Final = 1_000_000


def start_tracing(version: str) -> tuple[Sink, Callable[[], None]]:
    """What takes the record of each finished request, and what sends the last ones at the end.

    Raises SettingsError where the extra is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind, Status, StatusCode, format_trace_id, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    except ImportError:
        raise SettingsError(_NOT_INSTALLED) from None

    named = Resource.create({SERVICE_NAME: "vtv", SERVICE_VERSION: version})
    # Merged last, so that OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
    provider = TracerProvider(resource=named.merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracer = provider.get_tracer("vtv", version)
    propagator = TraceContextTextMapPropagator()

    def trace(record: Record) -> None:
        if record.is_quiet:
            return
        carrier = {"traceparent": record.traceparent} if record.traceparent else {}
        span = tracer.start_span(
            f"{record.method} {record.route}".strip(),
            context=propagator.extract(carrier),
            kind=SpanKind.SERVER,
            start_time=record.started_ns,
            attributes=attributes(record),
        )
        if record.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        within = set_span_in_context(span)
        for stage, start, end in stage_times(record):
            tracer.start_span(stage, context=within, start_time=start).end(end)
        span.end(record.started_ns + record.duration_ns)
        if span.get_span_context().trace_flags.sampled:
            record.trace_id = format_trace_id(span.get_span_context().trace_id)

    return trace, provider.shutdown


def attributes(record: Record) -> dict[str, str | int]:
    """By OpenTelemetry's names where it has one."""
    known: dict[str, str | int] = {
        "http.request.method": record.method,
        "url.path": record.path,
        "http.route": record.route,
        "http.response.status_code": record.status,
        "error.type": record.code,
        "vtv.request_id": record.request_id,
        "vtv.task": record.task,
        "vtv.images": record.images,
    }
    return {name: value for name, value in known.items() if value}


def stage_times(record: Record) -> Iterator[tuple[str, int, int]]:
    """(stage, start, end) in Unix nanoseconds.

    They follow each other from admission on, waiting included; of several images, those of the last.
    """
    if record.timing is None:
        return
    at = record.admitted_ns
    for stage, spent in record.timing.stages.items():
        end = at + round(spent * _NS_PER_MS)
        yield stage, at, end
        at = end
