"""Whoever has one machine and a folder needs, loads and waits for nothing that many machines do."""

import subprocess
import sys

MANY_MACHINES = ("obstore", "pandas", "pyarrow", "ray", "simpy", "tritonclient")
WORK = f"""
import sys
for name in {MANY_MACHINES}:
    sys.modules[name] = None  # whoever imports it fails
from pathlib import Path
import artifacts.build, artifacts.infer.many, cli.main, service.server
from artifacts.infer.files import open_pictures
from artifacts.store.open import open_store
open_store(Path("store"))
open_pictures(Path("pictures"))
"""


def test_serving_building_and_bulk_work_load_nothing_of_it() -> None:
    done = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
