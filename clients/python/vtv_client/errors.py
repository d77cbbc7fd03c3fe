"""What a call may raise. Everything about the request or the server is a `VTVError`."""

from typing import Any


class VTVError(Exception):
    """Base of everything that the clients raise about a request."""

    def __init__(self, detail: str, request_id: str) -> None:
        super().__init__(detail, request_id)
        self.detail = detail
        """What is wrong, in one sentence."""
        self.request_id = request_id
        """Stands in the server's log too, where the request came that far."""

    def __str__(self) -> str:
        return f"{self.detail} (request {self.request_id})"


class Unreachable(VTVError):
    """The server could not be reached, or the connection broke, at every attempt."""


class TimedOut(VTVError):
    """No answer came within the call's `timeout`."""


class ProblemError(VTVError):
    """The server refused or failed; the classes below are told apart by `code`."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        request_id: str,
        members: dict[str, Any],
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail, request_id)
        self.args = (status, code, detail, request_id, members, retry_after)  # what unpickling calls the class with
        self.status = status
        """The HTTP status."""
        self.code = code
        """The server's name for what went wrong; never changes."""
        self.members = members
        """The whole problem document (RFC 9457)."""
        self.retry_after = retry_after
        """Seconds after which the server asks to be tried again."""

    def __str__(self) -> str:
        return f"{self.detail} ({self.status} {self.code}, request {self.request_id})"


class InvalidRequest(ProblemError):
    """400: the request itself is wrong."""


class Unauthorized(ProblemError):
    """401: a valid key is needed."""


class UnknownTask(ProblemError):
    """404: no such task."""

    @property
    def tasks(self) -> list[str]:
        """What is installed."""
        return list(self.members.get("tasks", []))


class NotFound(ProblemError):
    """404: the server has no such address."""


class UnknownJob(ProblemError):
    """404: no such job, or no longer."""


class MethodNotAllowed(ProblemError):
    """405: the address does not take this method."""


class Conflict(ProblemError):
    """409: somebody else changed the same task at the same time."""


class PayloadTooLarge(ProblemError):
    """413: the files are larger than the server accepts."""


class UnsupportedMedia(ProblemError):
    """415: not a JPEG, PNG or WebP file."""


class InvalidImage(ProblemError):
    """422: a file that cannot be read as an image."""


class QueueFull(ProblemError):
    """429: the server has as many images in hand as it accepts, at every attempt."""


class Internal(ProblemError):
    """500: the server failed; its log says why under the request's ID."""


class NotReady(ProblemError):
    """503: the server is starting, ending or broken, at every attempt."""


class DeadlineExceeded(ProblemError, TimedOut):
    """504: the server did not have the answer in time. A `TimedOut` that the server noticed first."""


class UnexpectedReply(ProblemError):
    """Not a reply of this service, but of a proxy or another server perhaps."""


BY_CODE: dict[str, type[ProblemError]] = {
    "invalid_request": InvalidRequest,
    "unauthorized": Unauthorized,
    "unknown_task": UnknownTask,
    "unknown_job": UnknownJob,
    "not_found": NotFound,
    "method_not_allowed": MethodNotAllowed,
    "conflict": Conflict,
    "payload_too_large": PayloadTooLarge,
    "unsupported_media": UnsupportedMedia,
    "invalid_image": InvalidImage,
    "queue_full": QueueFull,
    "internal": Internal,
    "not_ready": NotReady,
    "deadline_exceeded": DeadlineExceeded,
}
"""The class for each code; a code that is not here is a plain `ProblemError`."""
