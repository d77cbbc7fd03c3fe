"""Every way a request can fail: an HTTP status, a code clients may branch on, and fixed texts.

Nothing of an exception, a path or an address reaches a client: a `detail` is written here or at
the place that raises, never taken from another exception. What went wrong inside goes to the log.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar


class ServiceError(Exception):
    """Base of all errors that a client is told about, as RFC 9457 problem details."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    detail: str = "The server failed while answering. The failure has been logged."
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or self.detail)
        self.detail = detail or self.detail

    def extensions(self) -> dict[str, Any]:
        """Members beside the standard five."""
        return {}


class FaultyTask(ServiceError):
    """Not 503: it would be sent again, and to servers that have the same version."""

    def __init__(self, task: str) -> None:
        """`task` is an installed one's name."""
        super().__init__(
            f"Task {task} is out of service: its version is faulty, and paints the same whatever the picture. "
            "Publishing another version brings it back."
        )


class InvalidRequest(ServiceError):
    status = 400
    code = "invalid_request"
    title = "Invalid request"
    detail = "The request is not of a form this service accepts."


class Unauthorized(ServiceError):
    status = 401
    code = "unauthorized"
    title = "Unauthorized"
    detail = "This needs a valid key: send Authorization: Bearer KEY, or X-API-Key: KEY."
    headers: Mapping[str, str] = MappingProxyType({"WWW-Authenticate": "Bearer"})


class UnknownTask(ServiceError):
    status = 404
    code = "unknown_task"
    title = "Unknown task"

    def __init__(self, installed: Sequence[str]) -> None:
        listed = ", ".join(installed) or "none"
        super().__init__(f"This task is not installed. Installed tasks: {listed}.")
        self._installed = list(installed)

    def extensions(self) -> dict[str, Any]:
        return {"tasks": self._installed}


class NotFound(ServiceError):
    status = 404
    code = "not_found"
    title = "Not found"
    detail = "There is nothing at this address. The API is described at /docs."


class UnknownJob(ServiceError):
    status = 404
    code = "unknown_job"
    title = "Unknown job"
    detail = "There is no job of this id: it was never here, was cancelled, or is long over."


class MethodNotAllowed(ServiceError):
    status = 405
    code = "method_not_allowed"
    title = "Method not allowed"
    detail = "This address does not take this method. The API is described at /docs."

    def __init__(self, allow: Sequence[str] = ()) -> None:
        """`allow` are the methods that the address does take."""
        super().__init__()
        self.headers = {"Allow": ", ".join(sorted(allow))} if any(allow) else {}


class Conflict(ServiceError):
    status = 409
    code = "conflict"
    title = "Conflict"
    detail = "Something else has changed meanwhile."


class PayloadTooLarge(ServiceError):
    status = 413
    code = "payload_too_large"
    title = "Payload too large"
    detail = "The request body is larger than this server accepts."


class UnsupportedMedia(ServiceError):
    status = 415
    code = "unsupported_media"
    title = "Unsupported media type"
    detail = "Send multipart/form-data, application/json, or a JPEG, PNG or WebP file as image/*."


class InvalidImage(ServiceError):
    status = 422
    code = "invalid_image"
    title = "Invalid image"
    detail = "An image could not be read: it is not a complete JPEG, PNG or WebP file."


class QueueFull(ServiceError):
    status = 429
    code = "queue_full"
    title = "Queue full"
    detail = "The server has as many images in hand as it accepts. Try again shortly."
    headers: Mapping[str, str] = MappingProxyType({"Retry-After": "1"})


class ShareFull(QueueFull):
    """One client has as much in hand as one may have."""

    detail = "This client has as many images in hand as one may have. Try again when some are answered."


class ClientClosed(ServiceError):
    """The client left: for the log and the metrics only."""

    status = 499
    code = "client_closed"
    title = "Client closed the connection"
    detail = "The client closed the connection before the answer was ready."


class NotReady(ServiceError):
    status = 503
    code = "not_ready"
    title = "Not ready"
    detail = "The server is warming up, draining, or its engine has failed. Try again later."
    headers: Mapping[str, str] = MappingProxyType({"Retry-After": "5"})

    def __init__(self, progress: str = "") -> None:
        """`progress`: how far an engine is that is being built, or what is waited for."""
        super().__init__()
        self._progress = progress

    def extensions(self) -> dict[str, Any]:
        return {"progress": self._progress} if self._progress else {}


class DeadlineExceeded(ServiceError):
    status = 504
    code = "deadline_exceeded"
    title = "Deadline exceeded"
    detail = "The answer was not ready within the time the request allowed."
