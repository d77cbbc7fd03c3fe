"""Traces of a running server, received by a real OTLP endpoint: an HTTP server that decodes the protobuf."""

import gzip
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from service.settings import SettingsError
from service.telemetry import tracing
from tests.support import ServerProcess, photo, wait_until

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Receiver(ThreadingHTTPServer):
    """Keeps what is sent to /v1/traces."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[Span] = []
        self.resource: dict[str, Any] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def take(self, sent: ExportTraceServiceRequest) -> None:
        for group in sent.resource_spans:
            self.resource = values(group.resource.attributes)
            self.spans += [span for scope in group.scope_spans for span in scope.spans]

    def of_request(self, request_id: str) -> tuple[Span, dict[str, Span]]:
        """A request's span and the stages inside it."""

        def roots() -> list[Span]:
            return [span for span in self.spans if values(span.attributes).get("vtv.request_id") == request_id]

        wait_until(lambda: bool(roots()), "a span")
        (root,) = roots()
        return root, {span.name: span for span in self.spans if span.parent_span_id == root.span_id}


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        assert (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
        self.server.take(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.end_headers()
        self.wfile.write(ExportTraceServiceResponse().SerializeToString())

    def log_message(self, *args: Any) -> None:
        pass


def values(attributes: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
        receiver.shutdown()


@pytest.fixture(scope="module")
def traced(receiver: Receiver, start_server: Callable[..., ServerProcess]) -> Iterator[ServerProcess]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        environment.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
        yield start_server(log_format="json")


def ask(server: ServerProcess, request_id: str, body: bytes, **headers: str) -> int:
    given = {"Content-Type": "image/jpeg", "X-Request-ID": request_id} | headers
    return server.client.post("/infer?task=identity", content=body, headers=given).status_code


@pytest.mark.slow
def test_an_answer_is_a_span_with_its_stages_inside(receiver: Receiver, traced: ServerProcess) -> None:
    assert ask(traced, "r-1", photo()) == 200
    root, stages = receiver.of_request("r-1")
    assert (root.name, root.kind) == ("POST /infer", Span.SPAN_KIND_SERVER)
    assert values(root.attributes) == {
        "http.request.method": "POST",
        "url.path": "/infer",
        "http.route": "/infer",
        "http.response.status_code": 200,
        "vtv.request_id": "r-1",
        "vtv.task": "identity",
        "vtv.images": 1,
    }
    assert set(stages) == {"decode", "queue", "compute", "encode"}
    for name, stage in stages.items():
        assert stage.trace_id == root.trace_id
        assert root.start_time_unix_nano <= stage.start_time_unix_nano <= stage.end_time_unix_nano, name
        assert stage.end_time_unix_nano <= root.end_time_unix_nano, name
    assert stages["compute"].end_time_unix_nano > stages["compute"].start_time_unix_nano
    assert receiver.resource["service.name"] == "vtv"
    assert receiver.resource["deployment.environment"] == "test"


@pytest.mark.slow
def test_the_callers_trace_goes_on_and_the_log_names_it(receiver: Receiver, traced: ServerProcess) -> None:
    assert ask(traced, "r-2", photo(), traceparent=f"00-{TRACE}-{PARENT}-01") == 200
    root, _ = receiver.of_request("r-2")
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == (TRACE, PARENT)
    wait_until(lambda: f'"trace_id": "{TRACE}"' in traced.log, "the trace in the log")


@pytest.mark.slow
@pytest.mark.parametrize("traceparent", ["", "00-0-0-01", "\u00e9" * 55])
def test_a_broken_trace_context_starts_a_trace_of_its_own(
    receiver: Receiver, traced: ServerProcess, traceparent: str
) -> None:
    request_id = f"r-3-{len(traceparent)}"
    headers = {"Content-Type": "image/jpeg", "X-Request-ID": request_id, "traceparent": traceparent.encode("latin-1")}
    assert traced.client.post("/infer?task=identity", content=photo(), headers=headers).status_code == 200
    root, _ = receiver.of_request(request_id)
    assert root.parent_span_id == b""


@pytest.mark.slow
def test_a_problem_is_a_span_with_its_code(receiver: Receiver, traced: ServerProcess) -> None:
    assert ask(traced, "r-4", b"no image") == 422
    root, stages = receiver.of_request("r-4")
    assert values(root.attributes)["error.type"] == "invalid_image"
    assert root.status.code == Status.STATUS_CODE_UNSET  # the client's fault, by OpenTelemetry's rules
    assert not stages


@pytest.mark.slow
def test_names_of_spans_stay_few(receiver: Receiver, traced: ServerProcess) -> None:
    for path, request_id in (("/tasks/identity", "r-5"), ("/made/up", "r-6")):
        traced.client.get(path, headers={"X-Request-ID": request_id})
    assert receiver.of_request("r-5")[0].name == "GET /tasks/{name}"
    assert receiver.of_request("r-6")[0].name == "GET"


@pytest.mark.slow
def test_the_last_traces_are_sent_when_the_server_ends(
    receiver: Receiver, start_server: Callable[..., ServerProcess]
) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{receiver.url}/v1/traces")
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
        server = start_server()
    assert ask(server, "r-last", photo()) == 200
    assert server.stop() == 0
    receiver.of_request("r-last")


@pytest.mark.slow
def test_an_endpoint_that_is_away_costs_no_answer(start_server: Callable[..., ServerProcess]) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        server = start_server()
    assert server.infer("identity", photo()).status_code == 200


def test_without_the_extra_it_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(SettingsError, match="install the extra otel"):
        tracing.start_tracing("1")
