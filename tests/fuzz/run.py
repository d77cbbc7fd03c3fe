"""Fuzzes one target, guided by the branches that its inputs take:

    python -m tests.fuzz.run TARGET RUNS [CORPUS]

CORPUS is a folder of what was found before, and where more goes. Ends with 0 after so many runs; else the input that
was too much lies in a file `crash-...` or `oom-...` here.
"""

import sys
from pathlib import Path
from time import process_time

import atheris

OURS = ["artifacts", "service", "training", "python_multipart", "starlette"]
SECONDS, MEGABYTES, LONGEST = 5, 2048, 20_000
"""Of one input, at most; of the processor's time, as a machine may stand still."""

with atheris.instrument_imports(include=OURS):
    from tests.fuzz.targets import TARGETS


def main(target: str, runs: str, *corpus: str) -> None:
    seeds = Path(__file__).parent / "seeds" / target
    given = [
        f"-runs={runs}",
        "-timeout=3600",
        f"-rss_limit_mb={MEGABYTES}",
        "-artifact_prefix=fuzz-",
        f"-max_len={LONGEST}",
        "-seed=1",
    ]
    read = TARGETS[target]

    def timed(data: bytes) -> None:
        began = process_time()
        read(data)
        if process_time() - began > SECONDS:
            raise TimeoutError(f"one input took {process_time() - began:.1f} s")

    atheris.Setup([sys.argv[0], *given, "-print_final_stats=1", *corpus, str(seeds)], timed)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
