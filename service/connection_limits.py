"""What a connection may cost: sizes, counts and seconds."""

from typing import NamedTuple


class ConnectionLimits(NamedTuple):
    """What a connection may cost."""

    total: int = 2048
    per_client: int = 512
    header_bytes: int = 32 * 1024
    headers: int = 100
    header_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: float = 75.0
