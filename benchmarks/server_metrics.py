"""What a server's own /metrics say: do they agree with the load generator, and how long did the codec take?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.connection import LOST
from benchmarks.traffic import Sent

_CODEC: Final = ("decode", "encode")


@dataclass(frozen=True, slots=True)
class Counted:
    """At one moment, since the server's start."""

    requests: Counter[str] = field(default_factory=Counter)
    """By status."""
    images: int = 0
    codec_seconds: float = 0.0
    """Decoding and encoding of all of them."""


def counted_by_server(url: str) -> Counted | None:
    """None for a server without `vtv_requests_total`. Raises httpx.HTTPError."""
    reply = httpx.get(f"{url}/metrics", trust_env=False)
    if reply.status_code != httpx.codes.OK:
        return None
    requests: Counter[str] = Counter()
    images, codec_seconds, known = 0, 0.0, False
    for family in text_string_to_metric_families(reply.text):
        known |= family.name == "vtv_requests"
        for sample in family.samples:
            if sample.name == "vtv_requests_total":
                requests[sample.labels["code"]] += int(sample.value)
            elif sample.name == "vtv_stage_duration_seconds_sum" and sample.labels["stage"] in _CODEC:
                codec_seconds += sample.value
            elif sample.name == "vtv_stage_duration_seconds_count" and sample.labels["stage"] == "encode":
                images = int(sample.value)
    return Counted(requests, images, codec_seconds) if known else None


def disagreement(before: Counted, after: Counted, sent: Sequence[Sent]) -> dict[str, int]:
    """By status: how many requests more the server counted than the client. Nothing where they agree.

    Of requests that were lost the client does not know the status; there may be as many more.
    """
    seen = Counter(str(each.status) for each in sent if each.status != LOST)
    counted = after.requests - before.requests
    return {code: counted[code] - seen[code] for code in sorted(counted | seen) if counted[code] != seen[code]}


def codec_ms(before: Counted, after: Counted) -> float | None:
    """Mean milliseconds of decoding and encoding an image between the two; None without any image."""
    images = after.images - before.images
    return 1e3 * (after.codec_seconds - before.codec_seconds) / images if images else None
