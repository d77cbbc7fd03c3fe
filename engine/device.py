"""What a device is called, for cache keys and reports, and what it computes in."""

import platform
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


def best_device() -> str:
    """`cuda` where there is a GPU, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"
