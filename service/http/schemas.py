"""What requests and replies hold, validated and described by pydantic."""

from typing import Literal

from pydantic import BaseModel, Field

from service.pipeline.call import Options
from service.tasks.task_info import TaskInfo
from service.teach.job import JobInfo


class InferRequest(Options):
    """The JSON form of `POST /infer`."""

    task: str = Field(min_length=1, max_length=200, description="Name of an installed task.")
    images: list[str] = Field(min_length=1, description="JPEG, PNG or WebP files, base64 encoded.")
    masks: list[str] | None = Field(
        None,
        description="For tasks that fill holes: a file for each image, of its size, white where to paint. Without, the "
        "image's black regions are filled.",
    )


class Output(BaseModel):
    image: str = Field(description="The answer's file, base64 encoded.")
    media_type: str
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    confidence: float | None = Field(
        description="0 to 1: the IoU, or 1 less the error, that such answers had on validation pictures; null where "
        "that was not measured."
    )


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
    artifact: str | None = Field(description="SHA-256 of the task vector's file; null for a one-shot request.")
    outputs: list[Output] = Field(description="In the order of the request's images.")
    timing_ms: TimingMs


class ScoredClass(BaseModel):
    label: str
    score: float = Field(description="Softmax over all classes of the task: 0 to 1.")


class ClassesOutput(BaseModel):
    classes: list[ScoredClass] = Field(description="Best first, `top_k` of them.")


class ClassesReply(BaseModel):
    """Of a task that answers with classes."""

    task: str
    model: str = Field(description="The image tower's fingerprint.")
    artifact: str = Field(description="SHA-256 of the artifact's file.")
    outputs: list[ClassesOutput] = Field(description="In the order of the request's images.")
    timing_ms: TimingMs


class TaskList(BaseModel):
    tasks: list[TaskInfo]


class JobList(BaseModel):
    jobs: list[JobInfo]


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class Readiness(Health):
    backend: str = Field(description="What computes.")
    runtime: str = Field(description="Its libraries and their versions.")
    passed_over: list[str] = Field(description="Better backends that do not work here; the log says why.")


class Problem(BaseModel):
    """RFC 9457 problem details, sent as `application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; branch on this one.")
    error: str | None = Field(None, description="The detail again, under /v2.")
    progress: str | None = Field(None, description="Of /readyz: how far a new engine is, or what is waited for.")
