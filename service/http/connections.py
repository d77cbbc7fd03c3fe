"""The server's connections, those that wait for their client in the order in which they began to.

A connection that is open costs a descriptor and memory whether it says something or not. Beyond the limits the one that
has kept the server waiting longest makes room, first those that never finished a request: so whoever opens thousands
and says nothing takes them from itself.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Final, Protocol

from service.connection_limits import ConnectionLimits, Reason

_LATER: Final = 5.0
"""Seconds after which an idle connection is closed here that uvicorn has not closed: one that sent next to nothing."""


class Waits(Enum):
    """What a connection keeps the server waiting for."""

    FIRST_HEADER = "first_header"
    HEADER = "header"
    BODY = "body"
    NEXT_REQUEST = "next_request"
    READING = "reading"


class Connection(Protocol):
    """What is asked of a connection here."""

    @property
    def peer(self) -> str:
        """The client's address."""

    def reads_on(self) -> bool:
        """Whether a good part of what is to be read was read since this was asked, or reading began."""

    def drop(self, reason: Reason) -> None:
        """Close it, telling the client why where it still listens."""


class Connections:
    """Belongs to the event loop. Whatever a request costs here is two look-ups."""

    def __init__(self, limits: ConnectionLimits, count: Callable[[Reason], None]) -> None:
        """`count` is told of every connection that is dropped."""
        self.limits: Final = limits
        self._count = count
        self._of: Counter[str] = Counter()
        self._all: set[Connection] = set()
        self._waiting: Final[dict[Waits, OrderedDict[Connection, float]]] = {kind: OrderedDict() for kind in Waits}
        self._where: dict[Connection, Waits] = {}

    def __len__(self) -> int:
        return len(self._all)

    def opened(self, connection: Connection, now: float) -> None:
        """A new one: another may have to go for it, or it goes itself."""
        self._all.add(connection)
        self._of[connection.peer] += 1
        if self._of[connection.peer] > self.limits.per_client:
            self._make_room(connection, connection.peer)
        elif len(self._all) > self.limits.total:
            self._make_room(connection, max(self._of, key=self._of.__getitem__))
        if connection in self._all:
            self.waits(connection, Waits.FIRST_HEADER, now)

    def waits(self, connection: Connection, what: Waits | None, now: float) -> None:
        """What it is waited for from now on; None while the server has it in hand. Of the same thing, since before."""
        before = self._where.get(connection)
        if before is what or connection not in self._all:
            return
        if before is not None:
            del self._waiting[before][connection]
        if what is None:
            del self._where[connection]
        else:
            self._waiting[what][connection] = now
            self._where[connection] = what

    def closed(self, connection: Connection) -> None:
        if connection not in self._all:
            return
        self._all.remove(connection)
        before = self._where.pop(connection, None)
        if before is not None:
            del self._waiting[before][connection]
        self._of[connection.peer] -= 1
        if not self._of[connection.peer]:
            del self._of[connection.peer]

    def sweep(self, now: float) -> None:
        """Drop those whose time is up."""
        limits = self.limits
        allowed: tuple[tuple[Waits, float, Reason], ...] = (
            (Waits.FIRST_HEADER, limits.header_seconds, "header_time"),
            (Waits.HEADER, limits.header_seconds, "header_time"),
            (Waits.BODY, limits.body_seconds, "body_time"),
            (Waits.NEXT_REQUEST, limits.idle_seconds + _LATER, "idle"),
        )
        for kind, seconds, reason in allowed:
            for connection in list(self._since_before(kind, now - seconds)):
                self.drop(connection, reason)
        for connection in list(self._since_before(Waits.READING, now - limits.body_seconds)):
            if connection.reads_on():
                self.waits(connection, None, now)
                self.waits(connection, Waits.READING, now)
            else:
                self.drop(connection, "unread")

    def stop(self) -> None:
        """Drop those whose body is still to come: nothing new is taken any more. The others are uvicorn's to close."""
        for connection in list(self._waiting[Waits.BODY]):
            self.drop(connection, "draining")

    def drop(self, connection: Connection, reason: Reason) -> None:
        """Close it, and count why."""
        self.closed(connection)
        self._count(reason)
        connection.drop(reason)

    def _since_before(self, kind: Waits, time: float) -> Iterator[Connection]:
        for connection, since in self._waiting[kind].items():
            if since > time:
                return
            yield connection

    def _make_room(self, newcomer: Connection, peer: str) -> None:
        """The longest waiting one of a client goes, else the newcomer."""
        for kind in (Waits.FIRST_HEADER, Waits.HEADER, Waits.BODY, Waits.NEXT_REQUEST):
            for connection in self._waiting[kind]:
                if connection.peer == peer and connection is not newcomer:
                    self.drop(connection, "evicted")
                    return
        self.drop(newcomer, "full")
