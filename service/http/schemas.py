"""What requests and replies hold, validated and described by pydantic."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Size = Literal["native", "original"]
Refine = Literal["auto", "guided", "none"]
Format = Literal["png", "webp", "jpeg"]


class Options(BaseModel):
    """How the answer is wanted; the same in every form of request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str | None = Field(None, min_length=1, max_length=200, description="Name of an installed task.")
    size: Size = Field("native", description="`native` is 112 x 112 pixels, `original` is the query's size.")
    refine: Refine = Field(
        "auto", description="`auto` does what the task's artifact says; `guided` follows the query's edges."
    )
    format: Format = Field("png", description="File format of the answer.")


class InferRequest(Options):
    """The JSON form of `POST /infer`."""

    task: str = Field(min_length=1, max_length=200, description="Name of an installed task.")
    images: list[str] = Field(min_length=1, description="JPEG, PNG or WebP files, base64 encoded.")


class Output(BaseModel):
    image: str = Field(description="The answer's file, base64 encoded.")
    media_type: str
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")


class TimingMs(BaseModel):
    """Milliseconds in each stage, waiting for it included: one begins where the one before ends. Of several images,
    those of the one that is answered last."""

    queue: float
    decode: float
    compute: float
    encode: float


class InferReply(BaseModel):
    task: str | None = Field(description="Null for a one-shot request.")
    model: str = Field(description="The base model's fingerprint.")
    artifact: str | None = Field(
        description="SHA-256 of the task vector's file; null for a one-shot request."
    )
    outputs: list[Output] = Field(description="In the order of the request's images.")
    timing_ms: TimingMs


class TaskInfo(BaseModel):
    name: str
    description: str
    artifact: str = Field(description="SHA-256 of the task vector's file.")
    metric: Any = Field(description="What was measured on validation episodes when the vector was made.")
    created: str | None = Field(description="When the vector was made, ISO 8601.")


class TaskList(BaseModel):
    tasks: list[TaskInfo]


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class Readiness(Health):
    backend: str = Field(description="What computes.")
    passed_over: list[str] = Field(description="Better backends that do not work here; the log says why.")


class InputTensor(BaseModel):
    name: str = Field(description="`image`.")
    shape: list[int] = Field(description="UINT8: [N,H,W,3]. BYTES: [N].")
    datatype: Literal["UINT8", "BYTES"] = Field(description="RGB pixels, or JPEG, PNG or WebP files.")
    parameters: dict[str, Any] = Field({}, description="`binary_data_size`: bytes of the tensor after the JSON part.")
    data: list[Any] | None = Field(None, description="Numbers from 0 to 255, nested or flat; BYTES: base64 texts.")


class AskedOutput(BaseModel):
    name: str = Field(description="`answer`.")
    parameters: dict[str, Any] = Field({}, description="`binary_data`: whether it is wanted after the JSON part.")


class TensorRequest(BaseModel):
    """An inference request of the Open Inference Protocol."""

    id: str | None = Field(None, max_length=1000)
    parameters: dict[str, Any] = Field(
        {},
        description="`size`, `refine` and `format` as elsewhere. The answer is UINT8 where the image is, BYTES where "
        "`format` is set; `format` `raw` makes it UINT8 in any case. `binary_data_output` asks for the binary form.",
    )
    inputs: list[InputTensor] = Field(min_length=1, max_length=1)
    outputs: list[AskedOutput] | None = Field(None, max_length=1)


class OutputTensor(BaseModel):
    name: Literal["answer"]
    datatype: Literal["UINT8", "BYTES"]
    shape: list[int]
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class TensorReply(BaseModel):
    model_name: str
    model_version: str = Field(description="SHA-256 of the task vector's file.")
    id: str | None = None
    outputs: list[OutputTensor]


class ServerMetadata(BaseModel):
    name: str
    version: str
    extensions: list[str]


class Live(BaseModel):
    live: Literal[True] = True


class Ready(BaseModel):
    ready: Literal[True] = True


class ModelReady(Ready):
    name: str


class TensorMetadata(BaseModel):
    name: str
    datatype: str
    shape: list[int] = Field(description="-1 where any size will do.")


class ModelMetadata(BaseModel):
    name: str
    versions: list[str] = Field(description="SHA-256 of the task vector's file.")
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class Problem(BaseModel):
    """RFC 9457 problem details, sent as `application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; branch on this one.")
    error: str | None = Field(None, description="The detail again, under /v2.")
