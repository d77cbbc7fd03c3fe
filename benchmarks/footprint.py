"""What a server holds in memory at rest, process by process: `python -m benchmarks.footprint [PID]`.

Without a PID a server is started with the bundled model and tasks. A page that several processes share counts for each
in part (PSS), so that the column's sum is what the server takes; files, of which other programs may share pages too,
count whole in the last line: what it would take if nothing else ran.
"""

import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.server_process import running_server

_MIB: Final = 1024
"""The kernel counts in KiB."""


class Held(NamedTuple):
    """Of one process, in MiB."""

    pid: int
    resident: float
    proportional: float
    anonymous: float
    files: float


def processes(pid: int) -> list[int]:
    """A process and those below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(below for child in children for below in processes(int(child)))]


def held(pid: int) -> Held:
    """What one holds."""
    fields = dict(re.findall(r"^(\w+): +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M))
    names = ("Rss", "Pss", "Pss_Anon", "Pss_File")
    return Held(pid, *(int(fields[name]) / _MIB for name in names))


def files_alone(pids: list[int]) -> float:
    """MiB of files that these processes have in memory, each page once."""
    most: Counter[str] = Counter()
    for pid in pids:
        for block in re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", Path(f"/proc/{pid}/smaps").read_text(), flags=re.M)[1:]:
            place, *_ = block.splitlines()
            fields = dict(re.findall(r"^(\w+): +(\d+) kB", block, re.M))
            _, _, offset, _, _, *path = place.split()
            if path and path[0].startswith("/"):
                key = f"{path[0]} {offset}"
                most[key] = max(most[key], int(fields["Rss"]) - int(fields["Anonymous"]))
    return most.total() / _MIB


def table(pid: int) -> str:
    """A line for each process, their sum, and the sum where nobody else shares the files."""
    pids = processes(pid)
    rows = [held(each) for each in pids]
    lines = [f"{'process':>8} {'resident':>9} {'proportional':>13} {'anonymous':>10} {'files':>6}   MiB"]
    lines += [f"{r.pid:8} {r.resident:9.0f} {r.proportional:13.0f} {r.anonymous:10.0f} {r.files:6.0f}" for r in rows]
    total, anonymous = sum(r.proportional for r in rows), sum(r.anonymous for r in rows)
    lines.append(f"{'all':>8} {'':9} {total:13.0f} {anonymous:10.0f} {total - anonymous:6.0f}")
    files = files_alone(pids)
    lines.append(f"{'alone':>8} {'':9} {anonymous + files:13.0f} {anonymous:10.0f} {files:6.0f}")
    return "\n".join(lines)


def main() -> None:
    """Of a running server, or of one that is started for it."""
    if len(sys.argv) > 1:
        print(table(int(sys.argv[1])))
        return
    with running_server(None, None, None):
        print(table(processes(os.getpid())[1]))


if __name__ == "__main__":
    main()
