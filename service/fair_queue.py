"""What waits for something that all clients share, in an order that is fair to them."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
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

    def pop(self) -> T:
        """The next item of the client whose turn it is. Raises KeyError when nobody waits."""
        client, lane = self._lanes.popitem(last=False)
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

    def count(self, most: int) -> int:
        """Items that wait, of each client so many at most."""
        return sum(min(len(lane), most) for lane in self._lanes.values())

    def first_of_each(self) -> Iterator[T]:
        """Of every client the item that has waited longest."""
        return (next(iter(lane.values())) for lane in self._lanes.values())
