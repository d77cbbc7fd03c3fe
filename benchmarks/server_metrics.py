"""Does a server's own /metrics agree with the load generator?"""

from collections import Counter
from collections.abc import Sequence

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.connection import LOST
from benchmarks.server_process import PATIENCE
from benchmarks.traffic import Sent

Counted = Counter[str]
"""Requests since the server's start, by status."""


def counted_by_server(url: str) -> Counted | None:
    """None for a server without `vtv_requests_total`. Raises httpx.HTTPError."""
    reply = httpx.get(f"{url}/metrics", trust_env=False, timeout=PATIENCE)
    if reply.status_code != httpx.codes.OK:
        return None
    requests: Counted = Counter()
    known = False
    for family in text_string_to_metric_families(reply.text):
        known |= family.name == "vtv_requests"
        for sample in family.samples:
            if sample.name == "vtv_requests_total":
                requests[sample.labels["code"]] += int(sample.value)
    return requests if known else None


def disagreement(before: Counted, after: Counted, sent: Sequence[Sent]) -> dict[str, int]:
    """By status: how many requests more the server counted than the client. Nothing where they agree.

    Of requests that were lost the client does not know the status; there may be as many more.
    """
    seen = Counter(str(each.status) for each in sent if each.status != LOST)
    counted = after - before
    return {code: counted[code] - seen[code] for code in sorted(counted | seen) if counted[code] != seen[code]}
