"""The slot table against a plain reference, and its promises one by one."""

import random

import pytest

from engine.errors import BankFull, EngineError
from engine.slots import SlotTable

STEPS = 10_000


class PlainTable:
    """The same promises in the plainest way: a list of (key, pins) per slot and a list of keys by last use."""

    def __init__(self, capacity: int) -> None:
        self.rows: dict[int, list[object]] = {slot: [None, 0] for slot in range(1, capacity)}
        self.recent: list[str] = []

    def slot_of(self, key: str) -> int | None:
        return next((slot for slot, row in self.rows.items() if row[0] == key), None)

    def may_take(self) -> set[int]:
        """Free slots, else the slot of the least recently used unpinned key."""
        free = {slot for slot, row in self.rows.items() if row[0] is None}
        if free:
            return free
        for key in self.recent:
            slot = self.slot_of(key)
            assert slot is not None
            if not self.pins(slot):
                return {slot}
        return set()

    def pins(self, slot: int) -> int:
        pins = self.rows[slot][1]
        assert isinstance(pins, int)
        return pins

    def put(self, slot: int, key: str) -> None:
        old = self.rows[slot][0]
        if isinstance(old, str):
            self.recent.remove(old)
        self.rows[slot] = [key, 0]
        self.recent.append(key)

    def use(self, slot: int, key: str) -> None:
        self.recent.remove(key)
        self.recent.append(key)
        self.rows[slot][1] = self.pins(slot) + 1


@pytest.mark.parametrize(("capacity", "keys"), [(2, 3), (4, 6), (9, 30), (16, 8)])
def test_random_steps_agree_with_the_plain_table(capacity: int, keys: int) -> None:
    draw, table, plain = random.Random(capacity), SlotTable(capacity), PlainTable(capacity)
    held: list[int] = []
    for _ in range(STEPS):
        if held and draw.random() < 0.5:
            slot = held.pop(draw.randrange(len(held)))
            table.release(slot)
            plain.rows[slot][1] = plain.pins(slot) - 1
        else:
            _acquire(table, plain, f"key{draw.randrange(keys)}", held)
        assert table.pinned == sum(plain.pins(slot) > 0 for slot in plain.rows)
        assert table.used == len(plain.recent)
    assert table.installs - table.evictions == table.used


def _acquire(table: SlotTable, plain: PlainTable, key: str, held: list[int]) -> None:
    known, allowed = plain.slot_of(key), plain.may_take()
    if known is None and not allowed:
        with pytest.raises(BankFull):
            table.acquire(key)
        return
    slot, fresh = table.acquire(key)
    assert slot != 0
    assert fresh == (known is None)
    if known is None:
        assert slot in allowed
        plain.put(slot, key)
    else:
        assert slot == known
    plain.use(slot, key)
    held.append(slot)


def test_a_pinned_slot_is_never_taken() -> None:
    table = SlotTable(3)
    first, _ = table.acquire("a")
    second, _ = table.acquire("b")
    with pytest.raises(BankFull, match=r"^all 2 slots .* more slots$"):
        table.acquire("c")
    table.release(second)
    assert table.acquire("c") == (second, True)
    assert table.acquire("a") == (first, False)
    assert (table.installs, table.evictions) == (3, 1)
    table.check_integrity()


def test_a_refused_acquire_changes_nothing() -> None:
    table = SlotTable(2)
    slot, _ = table.acquire("a")
    with pytest.raises(BankFull):
        table.acquire("b")
    assert (table.used, table.pinned, table.installs) == (1, 1, 1)
    assert table.acquire("a") == (slot, False)


def test_releasing_more_often_than_acquired_is_refused() -> None:
    table = SlotTable(2)
    slot, _ = table.acquire("a")
    table.release(slot)
    with pytest.raises(EngineError, match="more often"):
        table.release(slot)


def test_integrity() -> None:
    table = SlotTable(3)
    slot, _ = table.acquire("a")
    table.check_integrity()
    table._free.append(slot)
    with pytest.raises(EngineError, match="lost or held twice"):
        table.check_integrity()
    table._free.remove(slot)
    table._pins[2 if slot == 1 else 1] = 1
    with pytest.raises(EngineError, match="pinned"):
        table.check_integrity()
    table._pins.clear()
    table.installs += 1
    with pytest.raises(EngineError, match="2 installs"):
        table.check_integrity()
