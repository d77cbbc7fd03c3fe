"""What a client of the service may have to handle."""

from typing import Any


class VTVError(Exception):
    """Base of everything that VTVClient raises about a request."""


class Unreachable(VTVError):
    """The server could not be reached, or the connection broke."""


class TimedOut(VTVError):
    """No reply came in time."""


class ProblemError(VTVError):
    """The server refused or failed; the classes below are told apart by `code`."""

    def __init__(self, status: int, code: str, detail: str, request_id: str, members: dict[str, Any]) -> None:
        super().__init__(f"{detail} ({status} {code}, request {request_id})")
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        """Stands in the server's log too."""
        self.members = members
        """The whole problem document."""
        self.retry_after: float | None = None
        """Seconds after which the server asks to be tried again."""


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


class PayloadTooLarge(ProblemError):
    """413."""


class UnsupportedMedia(ProblemError):
    """415: not a JPEG, PNG or WebP file."""


class InvalidImage(ProblemError):
    """422: a file that cannot be read."""


class QueueFull(ProblemError):
    """429, after every retry."""


class NotReady(ProblemError):
    """503, after every retry."""


class DeadlineExceeded(ProblemError):
    """504: the server did not get to it in time."""


BY_CODE: dict[str, type[ProblemError]] = {
    "invalid_request": InvalidRequest,
    "unauthorized": Unauthorized,
    "unknown_task": UnknownTask,
    "payload_too_large": PayloadTooLarge,
    "unsupported_media": UnsupportedMedia,
    "invalid_image": InvalidImage,
    "queue_full": QueueFull,
    "not_ready": NotReady,
    "deadline_exceeded": DeadlineExceeded,
}
