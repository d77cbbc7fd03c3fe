"""What a device is called, for cache keys and reports."""

import platform
from pathlib import Path

import torch


def describe(device: torch.device) -> str:
    """A GPU's name and compute capability, or the processor's name and the instructions torch uses on it."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return f"{torch.cuda.get_device_name(device)} ({major}.{minor})"
    return f"{processor()} ({torch.backends.cpu.get_cpu_capability()})"


def processor() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def best_device() -> str:
    """`cuda` where there is a GPU, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"
