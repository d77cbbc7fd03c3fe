"""What waits for something that all clients share, in an order that is fair to them."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from typing import Final, Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Clients take turns, one item each; the items of one client keep their order.

    So whoever sends one image waits for at most one image of every other client, however many those have
    sent. Not thread-safe: one owner calls it.
    """

    def __init__(self, client_of: Callable[[T], str]) -> None:
        """`client_of` tells whose turn an item waits for."""
        self._client_of: Final = client_of
        self._lanes: OrderedDict[str, OrderedDict[int, T]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def push(self, item: T) -> None:
        self._lanes.setdefault(self._client_of(item), OrderedDict())[id(item)] = item
        self._size += 1

    def next(self) -> T:
        """What `pop` gives. Raises StopIteration when nobody waits."""
        return next(iter(next(iter(self._lanes.values())).values()))

    def pop(self, clients: Collection[str] | None = None) -> T:
        """The next item of the client, of some clients, whose turn it is. Raises StopIteration when none waits."""
        client = next(client for client in self._lanes if clients is None or client in clients)
        lane = self._lanes.pop(client)
        _, item = lane.popitem(last=False)
        if lane:
            self._lanes[client] = lane
        self._size -= 1
        return item

    def remove(self, item: T) -> None:
        """Take an item out, where it still waits."""
        lane = self._lanes.get(self._client_of(item))
        if lane is None or lane.pop(id(item), None) is None:
            return
        self._size -= 1
        if not lane:
            del self._lanes[self._client_of(item)]

    def drain(self) -> list[T]:
        """Everything that waits, taken out."""
        return [self.pop() for _ in range(self._size)]

    def clients(self, few: int) -> tuple[set[str], set[str]]:
        """Those of whom so few items wait, or less, and those of whom more do."""
        little = {client for client, lane in self._lanes.items() if len(lane) <= few}
        return little, self._lanes.keys() - little

    def count(self, clients: Collection[str] | None = None) -> int:
        """Items that wait, of all clients or of some."""
        return sum(len(lane) for client, lane in self._lanes.items() if clients is None or client in clients)

    def first_of_each(self) -> Iterator[T]:
        """Of every client the item that has waited longest."""
        return (next(iter(lane.values())) for lane in self._lanes.values())
