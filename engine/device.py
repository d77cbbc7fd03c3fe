"""What a device is called, for cache keys and reports, and what it computes in."""

import ctypes
import gc
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

CPUINFO = Path("/proc/cpuinfo")
NATIVE_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}
"""Flags of processors, of x86-64 and of ARM."""


def describe(device: torch.device) -> str:
    """A GPU's name and compute capability, or the processor's name and the instructions torch uses on it."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return f"{torch.cuda.get_device_name(device)} ({major}.{minor})"
    return f"{processor()} ({torch.backends.cpu.get_cpu_capability()})"


def processor() -> str:
    """The processor's name where the system tells it."""
    return _told("model name") or platform.machine()


def fast_autocast(device: torch.device) -> torch.autocast:
    """bfloat16 where the device computes in it, else float32: a processor that imitates it takes five times as long."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type != "cpu" or _processor_has_bfloat16())


@cache
def _processor_has_bfloat16() -> bool:
    return not NATIVE_BFLOAT16.isdisjoint(_told("flags", "Features").split())


def _told(*names: str) -> str:
    """What the system tells of the first processor under one of these names; empty where it tells nothing."""
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(names)), "")


@cache
def host_threads() -> int:
    """How many threads an engine on the CPU computes on: torch's, as they were when the first was made."""
    return torch.get_num_threads()


def leave_cores() -> None:
    """From now on torch computes on the calling thread alone: for a thread whose engine computes elsewhere, and which
    has little left for torch. Its other threads would wait for more, busily, for milliseconds."""
    host_threads()
    if torch.get_num_threads() > 1:
        torch.set_num_threads(1)


@contextmanager
def exact_float32() -> Iterator[None]:
    """float32 in all its digits: by default cuDNN rounds the factors of convolutions to TF32's ten bits."""
    products = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(products)


def release_memory(device: torch.device) -> None:
    """Give back what nobody holds any more, on a GPU to the driver: TensorRT cannot use what PyTorch keeps. On a CPU
    to the system, where the C library is glibc."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)


def best_device() -> str:
    """`cuda` where there is a GPU, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"
