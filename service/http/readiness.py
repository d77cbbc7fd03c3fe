"""Whether requests should be sent to this server, as a balancer is told."""

from collections.abc import Callable

from service.batching.batcher import Batcher, State
from service.batching.status import EngineStatus
from service.errors import NotReady
from service.tasks.store_watcher import StoreWatcher


def readiness(batcher: Batcher, status: EngineStatus, watcher: StoreWatcher) -> Callable[[], None]:
    """What raises NotReady, and says what is waited for, while they should not. Requests that come are answered as
    long as there is an engine: who has no other server to ask is told what is known here."""

    def check() -> None:
        if not batcher.ready:
            raise NotReady(status.progress if batcher.state is State.WARMING else "")
        if reason := watcher.waits_for:
            raise NotReady(reason)

    return check
