"""One call: the attempts that it is made of, within its time."""

import random
import uuid
from time import monotonic
from typing import Any, Final, Generic

import httpx

from vtv_client import _replies
from vtv_client._requests import Request, Result
from vtv_client._version import __version__
from vtv_client.errors import ProblemError, TimedOut, Unreachable, VTVError

_RETRIED_STATUSES: Final = (429, 503)
_RETRIED_FAILURES: Final = (httpx.NetworkError, httpx.RemoteProtocolError)
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0
_LONGEST_TIMEOUT_MS: Final = 999_999_999
_USER_AGENT: Final = f"vtv-client/{__version__}"
LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=100)
"""Of a client's own pool: the caller bounds what is asked at once, and connections are kept for the next."""


class Target:
    """A server, and how it is asked: the part of a client that does no I/O."""

    def __init__(self, url: str, api_key: str | None, admin_key: str | None, timeout: float, retries: int) -> None:
        """Raises ValueError for an address that is none."""
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"The server's address must begin with http:// or https://: {url!r}")
        self.url = url.rstrip("/")
        self.timeout = timeout
        self.retries = retries
        self._api_key = api_key or admin_key
        self._admin_key = admin_key or api_key

    def authorization(self, admin: bool) -> dict[str, bytes]:
        """The header with the key for a request. The admin's opens everything, so it may be the only one."""
        key = self._admin_key if admin else self._api_key
        return {"Authorization": f"Bearer {key.strip()}".encode()} if key else {}


class Call(Generic[Result]):
    """One request's attempts.

    Tried again is what the server did not take up (429, 503) and what broke on the way: every request of the
    clients may be sent twice without harm. Pauses double, with jitter, and are never shorter than Retry-After.
    """

    def __init__(self, target: Target, request: Request[Result]) -> None:
        self._target = target
        self._request = request
        self._request_id = uuid.uuid4().hex
        self._deadline = monotonic() + target.timeout
        self._failed = 0

    def arguments(self) -> dict[str, Any]:
        """What the next attempt sends, for `httpx.Client.request`."""
        request, seconds = self._request, self._left()
        milliseconds = max(1, min(int(1e3 * seconds), _LONGEST_TIMEOUT_MS))
        headers: dict[str, str | bytes] = {
            "User-Agent": _USER_AGENT,
            "X-Request-ID": self._request_id,
            "X-VTV-Timeout-Ms": str(milliseconds),
        }
        return {
            "method": request.method,
            "url": self._target.url + request.path,
            "params": request.params,
            "headers": headers | self._target.authorization(request.admin) | request.headers,
            "content": request.content,
            "data": request.data,
            "files": request.files,
            "timeout": seconds,
        }

    def read(self, reply: httpx.Response) -> Result:
        """What a reply holds. Raises ProblemError."""
        if not reply.is_success:
            raise _replies.problem(reply, self._request_id)
        try:
            return self._request.read(reply)
        except (KeyError, TypeError, ValueError):
            raise _replies.unexpected(reply, self._request_id) from None

    def pause(self, failure: VTVError | httpx.RequestError) -> float:
        """Seconds to wait before the next attempt. Raises a VTVError where there shall be none."""
        longest = min(_FIRST_PAUSE_SECONDS * 2**self._failed, _LONGEST_PAUSE_SECONDS)
        self._failed += 1
        after = failure.retry_after if isinstance(failure, ProblemError) else None
        seconds = (after or 0.0) + random.uniform(longest / 2, longest)
        if not _is_transient(failure) or self._failed > self._target.retries or seconds >= self._left():
            if isinstance(failure, VTVError):
                raise failure
            raise self._typed(failure) from failure
        return seconds

    def _left(self) -> float:
        """Seconds of the call's time that are left, never 0."""
        return max(self._deadline - monotonic(), 1e-3)

    def _typed(self, failure: httpx.RequestError) -> VTVError:
        if isinstance(failure, httpx.TimeoutException):
            return TimedOut(f"No answer came within {self._target.timeout:g} s.", self._request_id)
        return Unreachable(f"{self._target.url} cannot be reached: {failure}.", self._request_id)


def _is_transient(failure: VTVError | httpx.RequestError) -> bool:
    if isinstance(failure, ProblemError):
        return failure.status in _RETRIED_STATUSES
    return isinstance(failure, _RETRIED_FAILURES)
