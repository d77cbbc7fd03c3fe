"""Which content lives in which slot of the bank, and who needs it to stay."""

from collections import OrderedDict

from engine.errors import BankFull, EngineError


class SlotTable:
    """Slots 1..capacity-1 keyed by content hash; least recently used unpinned slots are reused.

    Not thread-safe: one owner calls it.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.installs = 0
        self.evictions = 0
        self._slot_of: OrderedDict[str, int] = OrderedDict()
        self._pins: dict[int, int] = {}
        self._free = list(range(capacity - 1, 0, -1))

    @property
    def used(self) -> int:
        """Slots that hold something, the no-op not counted."""
        return len(self._slot_of)

    @property
    def pinned(self) -> int:
        """Slots some request in flight needs."""
        return len(self._pins)

    def acquire(self, key: str) -> tuple[int, bool]:
        """Pin the slot of `key`; True when the caller must write it first. Raises BankFull."""
        if key in self._slot_of:
            self._slot_of.move_to_end(key)
            slot, fresh = self._slot_of[key], False
        else:
            slot, fresh = self._take(), True
            self._slot_of[key] = slot
            self.installs += 1
        self._pins[slot] = self._pins.get(slot, 0) + 1
        return slot, fresh

    def release(self, slot: int) -> None:
        """Undo one `acquire`."""
        if slot not in self._pins:
            raise EngineError(f"slot {slot} is released more often than acquired")
        self._pins[slot] -= 1
        if not self._pins[slot]:
            del self._pins[slot]

    def check_integrity(self) -> None:
        """Raise EngineError unless every slot is either free or held by one key, and only held slots are pinned."""
        held = list(self._slot_of.values())
        if sorted(held + self._free) != list(range(1, self.capacity)):
            raise EngineError("a slot of the bank is lost or held twice")
        if not set(self._pins) <= set(held) or any(count < 1 for count in self._pins.values()):
            raise EngineError("a slot that holds nothing is pinned")
        if self.installs - self.evictions != self.used:
            raise EngineError(f"{self.installs} installs less {self.evictions} evictions are not {self.used} slots")

    def _take(self) -> int:
        if self._free:
            return self._free.pop()
        for key, slot in self._slot_of.items():
            if slot not in self._pins:
                del self._slot_of[key]
                self.evictions += 1
                return slot
        raise BankFull(f"all {self.capacity - 1} slots of the bank are in use; serve with more slots")
