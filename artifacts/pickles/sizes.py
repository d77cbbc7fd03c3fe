"""What a pickle would take, told from its instructions before any of them is done."""

import pickletools
from typing import BinaryIO, Final

from artifacts.errors import OfflineError

_STORES: Final = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_FETCHES: Final = frozenset({"GET", "BINGET", "LONG_BINGET"})
_TUPLES: Final = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET"})
_MOST_WITHIN: Final = 10_000_000
_MOST_OPERATIONS: Final = 1_000_000
"""Some seconds' work; an array takes about 30."""
_MARK: Final = 0
"""On the stack of weights."""


def check_sizes(stream: BinaryIO) -> None:
    """Refuse a pickle that asks for more memory, or for more of the processor's time, than it has bytes, and one of
    more than a million instructions. Leaves the stream in place. Raises OfflineError, and whatever a damaged one
    does."""
    start = stream.tell()
    weights = _Weights()
    for so_far, (operation, argument, _) in enumerate(pickletools.genops(stream)):
        if so_far == _MOST_OPERATIONS:
            raise OfflineError(f"it has more than {_MOST_OPERATIONS:,} instructions: save numbers as arrays")
        if operation.name in _STORES and isinstance(argument, int) and argument > so_far:
            raise OfflineError("it numbers what it remembers beyond what it holds")
        if weights.after(operation, argument) > _MOST_WITHIN:
            raise OfflineError("it holds tuples within tuples beyond all its bytes")
    stream.seek(start)


class _Weights:
    """The unpickler's stack, of numbers in place of values: how many values are in a tuple, and in those within it.

    Each of them is looked at when it becomes a name in a dict or a member of a set. One that is remembered and put into
    the next one twice, forty times over, is of a hundred bytes and takes for ever.
    """

    def __init__(self) -> None:
        self._stack: list[int] = []
        self._remembered: dict[int, int] = {}

    def after(self, operation: pickletools.OpcodeInfo, argument: object) -> int:
        """The weight on top once an instruction is done; what takes more than there is, the unpickler will refuse."""
        name = operation.name
        if name in _STORES or name == "MEMOIZE":
            key = argument if isinstance(argument, int) else len(self._remembered)
            self._remembered[key] = self._top()
        elif name in _FETCHES:
            self._stack.append(self._remembered.get(argument, 1) if isinstance(argument, int) else 1)
        elif name == "DUP":
            self._stack.append(self._top())
        elif name == "MARK":
            self._stack.append(_MARK)
        else:
            taken = self._taken(operation)
            made = 1 + taken if name in _TUPLES else 1
            self._stack.extend([made] * len(operation.stack_after))
        return self._top()

    def _taken(self, operation: pickletools.OpcodeInfo) -> int:
        """The sum of what an instruction takes from the stack."""
        taken, before = 0, [item for item in operation.stack_before if item is not pickletools.stackslice]
        for item in reversed(before):
            if item is not pickletools.markobject:
                taken += self._pop()
                continue
            while (weight := self._pop()) != _MARK:
                taken += weight
        return taken

    def _pop(self) -> int:
        return self._stack.pop() if self._stack else _MARK

    def _top(self) -> int:
        return self._stack[-1] if self._stack else _MARK
