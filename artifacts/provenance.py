"""Where an artifact comes from: when it was made, and by which code."""

import hashlib
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from subprocess import CalledProcessError, run


def made_now() -> dict[str, str]:
    """The artifact metadata `created` (UTC, ISO 8601, whole seconds) and `code` (a commit)."""
    return {"created": datetime.now(UTC).isoformat(timespec="seconds"), "code": commit()}


def commit() -> str:
    """The commit of the code, or `unknown` outside a checkout."""
    try:
        done = run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, CalledProcessError):
        return "unknown"
    return done.stdout.strip()


@cache
def code_digest() -> str:
    """Of all that decides an artifact's numbers: this code and torch's release. Reads the sources."""
    root, digest = Path(__file__).parents[1], hashlib.sha256(version("torch").encode())
    for path in sorted(path for package in ("artifacts", "engine") for path in (root / package).rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
