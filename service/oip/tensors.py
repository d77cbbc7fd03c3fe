"""Inference requests of the Open Inference Protocol, with its binary tensor extension.

Input `image` is UINT8 [N,H,W,3] (RGB), or BYTES [N] of encoded files, and so is `mask`, white where to paint, for tasks
that fill holes. In JSON, a UINT8 tensor is a list of numbers, nested or flat, and a BYTES element is base64 text. In
binary, tensors follow the JSON part, and a BYTES element is preceded by its length, 4 bytes little endian.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from artifacts.pictures.errors import TooLarge
from artifacts.pictures.limits import PictureLimits
from engine.geometry import Pixels
from service.errors import InvalidImage, InvalidRequest
from service.http.base64_text import decoded_files
from service.http.calls import check_masks, complaint, read_options
from service.http.json_budget import as_utf8, check_json
from service.oip.schemas import InputTensor, TensorRequest
from service.pipeline.call import Call

MOST_PIXELS: Final = 1 << 30
"""Of a tensor's picture, more than a body holds; the codec checks what is set."""
MOST_VALUES: Final = 1_000_000
"""Of a request's JSON part: a picture of half a megapixel as numbers. Larger ones take the binary form."""
_MOST_TEXTS, _TEXTS_AN_IMAGE = 10_000, 8
"""Quotes, names and objects of it: files are few, and pixels are numbers."""
JSON_SIZE_HEADER: Final = "Inference-Header-Content-Length"
"""Bytes of the JSON part, where tensors follow it."""
PICTURES: Final = ("answer",)
CLASSES: Final = ("scores", "labels")
"""Outputs of a task of each kind."""
_OPTIONS: Final = ("size", "refine", "threshold", "format")
_OTHER_COUNT: Final = "The input image does not hold as many elements as its shape says."
LENGTH: Final = struct.Struct("<I")
"""Before each element of a binary BYTES tensor."""


@dataclass(frozen=True, slots=True)
class TensorCall(Call):
    """A call for tensors."""

    id: str | None = None
    """The client's own, returned with the reply."""
    outputs: Sequence[tuple[str, bool]] = ()
    """Which are wanted, in this order, and whether after the JSON part."""

    @property
    def binary(self) -> bool:
        """Whether every output is wanted after the JSON part."""
        return all(binary for _, binary in self.outputs)


def read_tensors(
    body: bytes, json_size: str | None, task: str, max_images: int, classifies: bool = False
) -> TensorCall:
    """`json_size` is the header's value; `classifies` tells the kind of the task. Raises InvalidRequest or
    InvalidImage."""
    size = json_part(json_size, len(body))
    text = as_utf8(body[:size])
    check_json(text, MOST_VALUES, _MOST_TEXTS + _TEXTS_AN_IMAGE * max_images)
    try:
        asked = TensorRequest.model_validate_json(text)
    except ValidationError as error:
        raise InvalidRequest(complaint(error)) from None
    if [tensor.name for tensor in asked.inputs] not in (["image"], ["image", "mask"]):
        raise InvalidRequest("There must be one input named image, and for tasks that fill holes one named mask.")
    outputs = _outputs(asked, CLASSES if classifies else PICTURES)
    tensor = asked.inputs[0]
    for each in asked.inputs:
        if not (each.shape and 1 <= each.shape[0] <= max_images):
            raise InvalidRequest(f"A request must hold 1 to {max_images} images: the first dimension of {each.name}.")
    images, *masks = _pictures(asked.inputs, body[size:])
    options: dict[str, Any] = {name: asked.parameters[name] for name in _OPTIONS if name in asked.parameters}
    encoded = True if classifies else _wants_files(options, tensor)
    call = TensorCall(
        read_options({"task": task, **options}),
        images,
        encoded=encoded,
        masks=masks[0] if masks else (),
        id=asked.id,
        outputs=outputs,
    )
    check_masks(call)
    return call


def _outputs(asked: TensorRequest, names: Sequence[str]) -> list[tuple[str, bool]]:
    """The outputs that are wanted, of those that there are."""
    if not asked.outputs:
        binary = asked.parameters.get("binary_data_output", False) is True
        return [(name, binary) for name in names]
    wanted = [(output.name, output.parameters.get("binary_data", False) is True) for output in asked.outputs]
    if len({name for name, _ in wanted} & set(names)) != len(wanted):
        only = "only output is named answer" if names == PICTURES else "outputs are named scores and labels"
        raise InvalidRequest(f"The {only}.")
    return wanted


def _wants_files(options: dict[str, Any], image: InputTensor) -> bool:
    """Whether painted answers are wanted as files; `format` `raw`, which is no format, is taken out of the options."""
    if options.get("format", "raw" if image.datatype == "UINT8" else "png") != "raw":
        return True
    options.pop("format", None)
    if options.get("size", "native") != "native":
        raise InvalidRequest("Only encoded answers may be larger: set the parameter format to png, webp or jpeg.")
    return False


def _pictures(tensors: Sequence[InputTensor], payload: bytes) -> list[Sequence[bytes | Pixels]]:
    """Each tensor's; those in the payload follow each other there."""
    sizes = [size if isinstance(size := t.parameters.get("binary_data_size"), int) else 0 for t in tensors]
    if len(tensors) > 1 and (min(sizes) < 0 or sum(sizes) != len(payload)):
        raise InvalidRequest("The inputs' binary_data_size do not add up to the bytes after the JSON part.")
    pictures: list[Sequence[bytes | Pixels]] = []
    for number, tensor in enumerate(tensors):
        start = sum(sizes[:number])
        own = payload[start : start + sizes[number]] if len(tensors) > 1 else payload
        pictures.append(_pixels(tensor, own) if tensor.datatype == "UINT8" else _files(tensor, own))
    return pictures


def json_part(header: str | None, length: int) -> int:
    """How many of a body's `length` bytes are JSON: what the header says, or all. Raises InvalidRequest."""
    if header is None:
        return length
    if not (header.isascii() and header.isdecimal() and len(header) < 12 and int(header) <= length):
        raise InvalidRequest(f"{JSON_SIZE_HEADER} must be the number of bytes of the JSON part.")
    return int(header)


def _binary(tensor: InputTensor, payload: bytes) -> bool:
    """Whether the tensor is in the payload, which then is the tensor."""
    size = tensor.parameters.get("binary_data_size")
    if size is None and tensor.data is not None and not payload:
        return False
    if size is None or tensor.data is not None or size != len(payload):
        raise InvalidRequest("The input image needs either data, or binary_data_size bytes after the JSON part.")
    return True


def _pixels(tensor: InputTensor, payload: bytes) -> Sequence[Pixels]:
    shape = tuple(tensor.shape)
    if len(shape) != 4 or shape[3] != 3 or min(shape) < 1:
        raise InvalidRequest("A UINT8 image tensor has shape [N,H,W,3].")
    try:
        PictureLimits(MOST_PIXELS).check(shape[2], shape[1])
    except TooLarge:
        raise InvalidImage("An image is larger, or longer for its width, than this server accepts.") from None
    flat = np.frombuffer(payload, np.uint8) if _binary(tensor, payload) else _numbers(tensor.data)
    height, width = shape[1:3]
    if flat.size != shape[0] * height * width * 3:
        raise InvalidRequest("The input image does not hold as many values as its shape says.")
    return list(flat.reshape(shape))


def _numbers(data: Any) -> Pixels:
    try:
        values = _array(data)
    except ValueError:
        raise InvalidRequest("The input image's data is not a regular list of numbers.") from None
    if values.dtype.kind not in "iu" or values.size == 0 or values.min() < 0 or values.max() > 255:
        raise InvalidRequest("The input image's data must be whole numbers from 0 to 255.")
    return values.astype(np.uint8).ravel()


def _array(data: Any) -> np.ndarray[Any, Any]:
    """Of nested lists, a few thousand numbers at a time: nothing else in the process runs while numpy reads a list.
    Raises ValueError."""
    if data and isinstance(data[0], list) and data[0] and isinstance(data[0][0], list):
        return np.stack([_array(part) if isinstance(part, list) else np.array(part) for part in data])
    return np.array(data)


def _files(tensor: InputTensor, payload: bytes) -> Sequence[bytes]:
    if len(tensor.shape) != 1:
        raise InvalidRequest("A BYTES image tensor has shape [N].")
    count = tensor.shape[0]
    files = _unframed(payload, count) if _binary(tensor, payload) else _decoded(tensor.data, count)
    if len(files) != count:
        raise InvalidRequest(_OTHER_COUNT)
    return files


def _decoded(data: Any, count: int) -> list[bytes]:
    if not (isinstance(data, list) and all(isinstance(text, str) for text in data)):
        raise InvalidRequest("The input image's data must be a list of base64 texts.")
    if len(data) != count:
        raise InvalidRequest(_OTHER_COUNT)
    return decoded_files(data, "An image")


def _unframed(payload: bytes, count: int) -> list[bytes]:
    """The elements, up to the first one too many: 20 MB hold five million empty ones."""
    files: list[bytes] = []
    start = 0
    while start < len(payload) and len(files) <= count:
        begin = start + LENGTH.size
        start = begin + LENGTH.unpack_from(payload, start)[0] if begin <= len(payload) else len(payload) + 1
        if start > len(payload):
            raise InvalidRequest("The input image's elements do not add up to its bytes.")
        files.append(payload[begin:start])
    return files
