"""What requests and replies of the Open Inference Protocol hold.

A request's lists are read up to the first thing wrong (`fail_fast`): a complaint about each of a million values would
take seconds, and only the first is told.
"""

from typing import Any, Literal

from pydantic import BaseModel, Field, StrictInt


class InputTensor(BaseModel):
    name: str = Field(description="`image` or `mask`.")
    shape: list[StrictInt] = Field(fail_fast=True, description="UINT8: [N,H,W,3]. BYTES: [N].")
    datatype: Literal["UINT8", "BYTES"] = Field(description="RGB pixels, or JPEG, PNG or WebP files.")
    parameters: dict[str, Any] = Field({}, description="`binary_data_size`: bytes of the tensor after the JSON part.")
    data: list[Any] | None = Field(None, description="Numbers from 0 to 255, nested or flat; BYTES: base64 texts.")


class AskedOutput(BaseModel):
    name: str = Field(description="`answer`, or of a classification `scores` or `labels`.")
    parameters: dict[str, Any] = Field({}, description="`binary_data`: whether it is wanted after the JSON part.")


class TensorRequest(BaseModel):
    """An inference request of the Open Inference Protocol."""

    id: str | None = Field(None, max_length=1000)
    parameters: dict[str, Any] = Field(
        {},
        description="`size`, `refine`, `threshold` and `format` as elsewhere, for tasks that paint. The answer is "
        "UINT8 where the image is, BYTES where `format` is set; `format` `raw` makes it UINT8 in any case. "
        "`binary_data_output` asks for the binary form.",
    )
    inputs: list[InputTensor] = Field(min_length=1, max_length=2, fail_fast=True)
    outputs: list[AskedOutput] | None = Field(
        None, max_length=2, fail_fast=True, description="All, where none is asked for."
    )


class OutputTensor(BaseModel):
    name: Literal["answer", "scores", "labels"]
    datatype: Literal["UINT8", "BYTES", "FP32"]
    shape: list[int]
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class TensorReply(BaseModel):
    model_name: str
    model_version: str = Field(description="SHA-256 of the artifact's file.")
    id: str | None = None
    parameters: dict[str, float] | None = Field(None, description="`confidence`, the least of the answers', if known.")
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
    versions: list[str] = Field(description="SHA-256 of the artifact's file.")
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
