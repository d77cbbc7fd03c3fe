"""Answers as HTTP: the image file itself, or JSON; classes are always JSON."""

import base64
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from pydantic import BaseModel
from starlette.responses import Response

from engine.runner import Row
from service.http.calls import InferCall
from service.http.schemas import ClassesOutput, ClassesReply, InferReply, Output, ScoredClass, TimingMs
from service.pipeline.call import Classified, Outcome, Painted
from service.telemetry.timing import Timing

_NO_IMAGE: Final = b'"image":""'
_PIECE: Final = 3 << 16
"""Bytes of a file that become base64 together: a multiple of three."""
_LONGEST_ACCEPT: Final = 4096
"""Characters; browsers send up to two hundred."""


def reply(call: InferCall, accept: str, outcome: Outcome, model: str) -> Response:
    """The reply to `call`; `model` is the base model's fingerprint."""
    if isinstance(outcome, Classified):
        return _json(_classes(call, outcome))
    return _pictures(call, accept, outcome, model)


def _classes(call: InferCall, outcome: Classified) -> ClassesReply:
    return ClassesReply(
        task=outcome.task.name,
        model=outcome.tower,
        artifact=outcome.task.hash,
        outputs=[ClassesOutput(classes=best(row, outcome.labels, call.options.top_k)) for row in outcome.scores],
        timing_ms=_timing(outcome.timing),
    )


def best(scores: Row, labels: tuple[str, ...], count: int) -> list[ScoredClass]:
    """The first `count` classes by their scores float32 [K], best first; of equals the one that comes first."""
    order = np.argsort(-scores, kind="stable")[:count]
    return [ScoredClass(label=labels[row], score=float(scores[row])) for row in order]


def _pictures(call: InferCall, accept: str, outcome: Painted, model: str) -> Response:
    """Bytes for the raw form, or for one image unless the client prefers JSON."""
    media_type = f"image/{call.options.format}"
    if call.form == "raw" or (call.form == "multipart" and len(outcome.answers) == 1 and prefers_image(accept)):
        return Response(outcome.answers[0].data, media_type=media_type)
    outputs = [
        Output(
            image="",
            media_type=media_type,
            width=answer.width,
            height=answer.height,
            confidence=answer.confidence,
        )
        for answer in outcome.answers
    ]
    body = InferReply(
        task=call.options.task,
        model=model,
        artifact=outcome.task.hash if outcome.task else None,
        outputs=outputs,
        timing_ms=_timing(outcome.timing),
    )
    return Response(_with_files(body, [answer.data for answer in outcome.answers]), media_type="application/json")


def _with_files(body: InferReply, files: Sequence[bytes]) -> bytes:
    """JSON with the outputs' files in their empty places, as base64. A piece at a time: nothing else in the process
    runs while the library goes through a text of 100 MB."""
    before, *rest = body.model_dump_json().encode().split(_NO_IMAGE)
    parts = [before]
    for file, after in zip(files, rest, strict=True):
        pieces = (base64.b64encode(file[start : start + _PIECE]) for start in range(0, len(file), _PIECE))
        parts += (_NO_IMAGE[:-1], *pieces, _NO_IMAGE[-1:], after)
    return b"".join(parts)


def _timing(timing: Timing) -> TimingMs:
    return TimingMs(**{stage: round(spent, 3) for stage, spent in timing.stages.items()})


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), media_type="application/json")


def prefers_image(accept: str) -> bool:
    """Whether an Accept header takes an image at least as gladly as JSON; no header, or an endless one, has no
    preference."""
    if accept in ("", "*/*", "image/*") or len(accept) > _LONGEST_ACCEPT:
        return True
    ranges = [_media_range(part) for part in accept.split(",")]
    image = _quality(ranges, lambda name: name.startswith("image/"))
    return image > 0 and image >= _quality(ranges, lambda name: name in ("application/json", "application/*"))


def _media_range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, float(parameter[2:])
            except ValueError:
                return name, 0.0
    return name, 1.0


def _quality(ranges: list[tuple[str, float]], belongs: Callable[[str], bool]) -> float:
    """How gladly a kind of reply is taken: its own ranges decide, `*/*` where there is none."""
    own = [quality for name, quality in ranges if belongs(name)]
    wild = [quality for name, quality in ranges if name == "*/*"]
    return max(own or wild, default=0.0)
