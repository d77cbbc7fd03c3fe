"""How long one image took, stage by stage."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds in each stage, waiting for it included: one begins where the one before ends."""

    queue: float = 0.0
    decode: float = 0.0
    compute: float = 0.0
    encode: float = 0.0

    @staticmethod
    def longest(timings: Iterable["Timing"]) -> "Timing":
        """Of the image that was answered last."""
        return max(timings, key=lambda timing: sum(timing.stages.values()))

    @property
    def stages(self) -> dict[str, float]:
        """By name, in the order of the way; `dataclasses.asdict` would take twenty times as long."""
        return {"decode": self.decode, "queue": self.queue, "compute": self.compute, "encode": self.encode}

    def header(self) -> str:
        """The value of a Server-Timing header."""
        return (
            f"queue;dur={self.queue:.3f}, decode;dur={self.decode:.3f}, "
            f"compute;dur={self.compute:.3f}, encode;dur={self.encode:.3f}"
        )
