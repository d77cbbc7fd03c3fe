"""Where an artifact comes from: when it was made, and by which code."""

from datetime import UTC, datetime
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
