"""Does the server's own /metrics agree with what the load generator saw?"""

from collections import Counter
from collections.abc import Sequence

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.connection import LOST
from benchmarks.traffic import Sent


def counted_by_server(url: str) -> Counter[str] | None:
    """`vtv_requests_total` by status; None for a server without it. Raises httpx.HTTPError."""
    reply = httpx.get(f"{url}/metrics", trust_env=False)
    if reply.status_code != httpx.codes.OK:
        return None
    counts: Counter[str] = Counter()
    known = False
    for family in text_string_to_metric_families(reply.text):
        known |= family.name == "vtv_requests"
        for sample in family.samples:
            if sample.name == "vtv_requests_total":
                counts[sample.labels["code"]] += int(sample.value)
    return counts if known else None


def disagreement(before: Counter[str], after: Counter[str], sent: Sequence[Sent]) -> dict[str, int]:
    """By status: how many requests more the server counted than the client. Nothing where they agree.

    Of requests that were lost the client does not know the status; there may be as many more.
    """
    seen = Counter(str(each.status) for each in sent if each.status != LOST)
    counted = after - before
    return {code: counted[code] - seen[code] for code in sorted(counted | seen) if counted[code] != seen[code]}
