"""Command-line words that list numbers: 1,8,32."""

import argparse
from typing import TypeVar

N = TypeVar("N", int, float)


def counts(text: str) -> list[int]:
    """Whole numbers above 0."""
    return _positive([int(part) for part in text.split(",")])


def rates(text: str) -> list[float]:
    """Numbers above 0."""
    return _positive([float(part) for part in text.split(",")])


def _positive(numbers: list[N]) -> list[N]:
    if min(numbers) <= 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return numbers
