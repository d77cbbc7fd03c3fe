"""Inference replies of the Open Inference Protocol, with its binary tensor extension.

Output `answer` is UINT8 [N,112,112,3] or BYTES [N] of files; of a classification `scores` is FP32 [N,K] and `labels`
is BYTES [K]. In JSON, files are base64 texts and labels plain ones. In binary, tensors follow the JSON part in the
order of the outputs, and a BYTES element is preceded by its length, 4 bytes little endian.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from starlette.responses import Response

from service.errors import InvalidRequest
from service.oip.tensors import JSON_SIZE_HEADER, LENGTH, TensorCall
from service.pipeline.call import Classified, Outcome, Painted


class _Tensor(NamedTuple):
    """An output in both forms."""

    datatype: str
    shape: list[int]
    data: list[Any]
    payload: bytes


def tensor_reply(call: TensorCall, outcome: Outcome) -> Response:
    """The answers as tensors. Raises InvalidRequest where the task's kind changed since the call was read."""
    outputs, payloads = [], []
    for name, binary in call.outputs:
        tensor = _tensor(call, outcome, name, binary)
        entry: dict[str, Any] = {"name": name, "datatype": tensor.datatype, "shape": tensor.shape}
        if binary:
            payloads.append(tensor.payload)
            entry["parameters"] = {"binary_data_size": len(tensor.payload)}
        else:
            entry["data"] = tensor.data
        outputs.append(entry)
    about = {"id": call.id} if call.id is not None else {}
    version = {"model_version": outcome.task.hash} if outcome.task else {}
    trust = {"parameters": {"confidence": outcome.confidence}} if outcome.confidence is not None else {}
    head = json.dumps({"model_name": call.options.task, **version, **about, **trust, "outputs": outputs}).encode()
    if not payloads:
        return Response(head, media_type="application/json")
    headers = {JSON_SIZE_HEADER: str(len(head))}
    return Response(b"".join((head, *payloads)), 200, headers, "application/octet-stream")


def _tensor(call: TensorCall, outcome: Outcome, name: str, binary: bool) -> _Tensor:
    """One output; what the other form holds is left empty."""
    match outcome, name:
        case Painted(), "answer" if call.encoded:
            files = [answer.data for answer in outcome.answers]
            texts = [] if binary else [base64.b64encode(file).decode("ascii") for file in files]
            return _Tensor("BYTES", [len(files)], texts, _framed(files) if binary else b"")
        case Painted(), "answer":
            first = outcome.answers[0]
            pixels = b"".join(answer.data for answer in outcome.answers)
            numbers = [] if binary else np.frombuffer(pixels, np.uint8).tolist()
            return _Tensor("UINT8", [len(outcome.answers), first.height, first.width, 3], numbers, pixels)
        case Classified(), "scores":
            scores = np.stack(outcome.scores).astype("<f4")
            return _Tensor("FP32", list(scores.shape), scores.ravel().tolist(), scores.tobytes())
        case Classified(), "labels":
            labels = [label.encode() for label in outcome.labels]
            return _Tensor("BYTES", [len(labels)], list(outcome.labels), _framed(labels))
    raise InvalidRequest("The task was replaced by one of another kind meanwhile: ask again.")


def _framed(elements: Sequence[bytes]) -> bytes:
    return b"".join(part for element in elements for part in (LENGTH.pack(len(element)), element))
