"""Jobs that wait for the engine, in an order that is fair to clients."""

import math
from collections import OrderedDict

from service.batching.jobs import Job


class FairQueue:
    """Clients take turns, one job each; the jobs of one client keep their order.

    So whoever sends one image waits for at most one image of every other client, however many those have
    sent. Not thread-safe: one owner calls it.
    """

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, OrderedDict[int, Job]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def push(self, job: Job) -> None:
        self._lanes.setdefault(job.ticket.client, OrderedDict())[id(job)] = job
        self._size += 1

    def pop(self) -> Job:
        """The next job of the client whose turn it is. Raises KeyError when nobody waits."""
        client, lane = self._lanes.popitem(last=False)
        _, job = lane.popitem(last=False)
        if lane:
            self._lanes[client] = lane
        self._size -= 1
        return job

    def remove(self, job: Job) -> None:
        """Take a job out, where it still waits."""
        lane = self._lanes.get(job.ticket.client)
        if lane is None or lane.pop(id(job), None) is None:
            return
        self._size -= 1
        if not lane:
            del self._lanes[job.ticket.client]

    def drain(self) -> list[Job]:
        """Everything that waits, taken out."""
        return [self.pop() for _ in range(self._size)]

    def oldest(self) -> float:
        """When the job that has waited longest was queued; infinity when nobody waits."""
        return min((next(iter(lane.values())).queued_at for lane in self._lanes.values()), default=math.inf)
