"""Python client of a Visual Task Vectors server.

Example:

    with Client("http://localhost:8000") as client:
        client.infer("segmentation", "photo.jpg", size="original").save("mask.png")
"""

from vtv_client._requests import File, Options
from vtv_client._streams import Outcome
from vtv_client._version import __version__
from vtv_client.answer import Answer
from vtv_client.async_client import AsyncClient
from vtv_client.classification import Classification, ScoredClass
from vtv_client.client import Client
from vtv_client.errors import (
    Conflict,
    DeadlineExceeded,
    Internal,
    InvalidImage,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    NotReady,
    PayloadTooLarge,
    ProblemError,
    QueueFull,
    TimedOut,
    Unauthorized,
    UnexpectedReply,
    UnknownJob,
    UnknownTask,
    Unreachable,
    UnsupportedMedia,
    VTVError,
)
from vtv_client.job import Job
from vtv_client.task import Task

__all__ = [
    "Answer",
    "AsyncClient",
    "Classification",
    "Client",
    "Conflict",
    "DeadlineExceeded",
    "File",
    "Internal",
    "InvalidImage",
    "InvalidRequest",
    "Job",
    "MethodNotAllowed",
    "NotFound",
    "NotReady",
    "Options",
    "Outcome",
    "PayloadTooLarge",
    "ProblemError",
    "QueueFull",
    "ScoredClass",
    "Task",
    "TimedOut",
    "Unauthorized",
    "UnexpectedReply",
    "UnknownJob",
    "UnknownTask",
    "Unreachable",
    "UnsupportedMedia",
    "VTVError",
    "__version__",
]
