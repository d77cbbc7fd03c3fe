"""Errors of the benchmarks; every message is one line that names what is wrong and what to do."""


class BenchError(Exception):
    """Something could not be measured."""
