"""The log: one line a request, as text or as JSON."""

import logging
from typing import Final, Literal

from pythonjsonlogger.json import JsonFormatter

from service.telemetry.record import Record

LogFormat = Literal["text", "json"]
log: Final = logging.getLogger("vtv.http")
_SHAPE: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_JSON_SHAPE: Final = "%(levelname)s %(name)s %(message)s"
_WRITTEN_OUT: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    ord("\n"): "\n    ",
    ord("\t"): "\t",
    **{code: f"\\u{code:x}" for code in (0x2028, 0x2029)},
}
_FIELDS: Final = (
    "code", "task", "images", "duration_ms", "queue_ms", "decode_ms", "compute_ms", "encode_ms",
    "client_gone", "trace_id", "request_id",
)  # fmt: skip


class TextFormatter(logging.Formatter):
    """Adds a request's fields to its message, as `name=value`.

    What goes on over several lines is indented, and other control characters are written out: no text that came from
    outside can look like an entry of its own.
    """

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if text.isprintable() else text.translate(_WRITTEN_OUT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the library's name)
        values = record.__dict__
        fields = "".join(f" {name}={values[name]}" for name in _FIELDS if name in values)
        return super().formatMessage(record) + fields


def log_to_stderr(form: LogFormat) -> None:
    """Set up the process's log; JSON is one object a line."""
    handler = logging.StreamHandler()
    if form == "json":
        names = {"levelname": "level", "name": "logger", "exc_info": "exception"}
        handler.setFormatter(JsonFormatter(_JSON_SHAPE, timestamp=True, rename_fields=names))
    else:
        handler.setFormatter(TextFormatter(_SHAPE))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)  # of libraries
    logging.getLogger("vtv").setLevel(logging.INFO)


def log_request(record: Record) -> None:
    """One line; none for a probe that went well."""
    if record.is_quiet:
        return
    level = logging.WARNING if record.status >= 500 else logging.INFO
    if log.isEnabledFor(level):
        log.log(level, "%s %s %d", record.method, record.path, record.status, extra=_fields(record))


def _fields(record: Record) -> dict[str, object]:
    """What is known; a field without a value is left out."""
    fields: dict[str, object] = {
        "method": record.method,
        "path": record.path,
        "status": record.status,
        "code": record.code,
        "task": record.task,
        "images": record.images,
        "duration_ms": round(record.duration_ns / 1e6, 3),
        "client_gone": record.client_gone,
        "trace_id": record.trace_id,
        "request_id": record.request_id,
    }
    if record.timing is not None:
        fields |= {f"{stage}_ms": round(spent, 3) for stage, spent in record.timing.stages.items()}
    return {name: value for name, value in fields.items() if value or name == "status"}
