"""Class names from a text file: one a line, in the order of the task's rows."""

from pathlib import Path

from artifacts.errors import OfflineError


def read_names(path: Path) -> tuple[str, ...]:
    """Raises OfflineError for a file that is no text, that names nothing, or that names a class twice."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise OfflineError(f"{path} is no text in UTF-8: it holds one class name a line") from None
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise OfflineError(f"{path} names no class: it holds one class name a line")
    for name in names:
        if names.count(name) > 1:
            raise OfflineError(f"{path} names class {name!r} twice")
    return names
