"""What a connection may cost: sizes, counts and seconds."""

from typing import Literal, NamedTuple

Reason = Literal[
    "header_size",
    "header_time",
    "body_time",
    "malformed",
    "tiny_chunks",
    "pipelined",
    "unread",
    "idle",
    "evicted",
    "full",
    "draining",
]
"""Why a connection is closed."""


class ConnectionLimits(NamedTuple):
    """What a connection may cost."""

    total: int
    per_client: int
    header_bytes: int
    headers: int
    header_seconds: float
    body_seconds: float
    idle_seconds: float
