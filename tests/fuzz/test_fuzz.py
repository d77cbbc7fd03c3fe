"""A fixed number of the fuzzer's inputs for each reader of strangers' bytes; `make fuzz` goes on from there."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.seeds import SEEDS, all_seeds
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
RUNS = 3000


# A form that breaks off leaves its last file to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_every_reader_takes_its_seeds() -> None:
    assert all_seeds().keys() == TARGETS.keys() == {folder.name for folder in SEEDS.iterdir()}
    for target, read in TARGETS.items():
        for seed in sorted((SEEDS / target).iterdir()):
            content = seed.read_bytes()
            for end in (len(content), len(content) // 2, 1, 0):
                read(content[:end])


@pytest.mark.slow
@pytest.mark.needs("atheris")
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_but_what_is_documented_comes_of_any_bytes(target: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz.run", target, str(RUNS), str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert f"stat::number_of_executed_units: {RUNS}" in ended.stderr
