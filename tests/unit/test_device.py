"""What is known of the processor, and what is computed on it in bfloat16."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from engine import device

FLAGS = {
    "x86": ("flags\t\t: fpu avx512f avx512_bf16 fma", True),
    "amx": ("flags\t\t: fpu avx2 amx_bf16", True),
    "arm": ("Features\t: fp asimd bf16", True),
    "older": ("flags\t\t: fpu avx2 avx512f f16c", False),
}


@pytest.fixture
def cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file to tell of another processor."""
    monkeypatch.setattr(device, "CPUINFO", tmp_path / "cpuinfo")
    device._processor_has_bfloat16.cache_clear()
    yield tmp_path / "cpuinfo"
    device._processor_has_bfloat16.cache_clear()


@pytest.mark.parametrize("kind", FLAGS)
def test_only_a_processor_that_has_bfloat16_computes_in_it(cpuinfo: Path, kind: str) -> None:
    line, native = FLAGS[kind]
    cpuinfo.write_text(f"processor\t: 0\nmodel name\t: Some Processor\n{line}\n")
    with device.fast_autocast(torch.device("cpu")):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if native else torch.float32)
    assert device.describe(torch.device("cpu")).startswith("Some Processor (")


def test_a_system_that_tells_nothing(cpuinfo: Path) -> None:
    with device.fast_autocast(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    assert device.processor()


def test_a_thread_that_leaves_the_cores_does_not_slow_engines_made_later() -> None:
    told = "import torch; from engine.device import host_threads, leave_cores; torch.set_num_threads(3); leave_cores()"
    told += "; print(torch.get_num_threads(), host_threads())"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "3"]
