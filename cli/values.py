"""Words of the command line that are numbers, files or folders: turned into values, or refused with what is taken.

Files and folders are looked at here, before any work begins: what is read must be there, what is written must be
writable.
"""

import math
import tempfile
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from artifacts.pictures.formats import SUFFIXES
from artifacts.store.address import StoreAddress, store_address
from cli.parser import one_of

N = TypeVar("N", int, float)


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Whole numbers from `least` on, up to `most` where there is one."""
    span = f"of {least} or more" if most is None else f"from {least} to {most}"

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ArgumentTypeError(f"takes a whole number, not {text}") from None
        if number < least or (most is not None and number > most):
            raise ArgumentTypeError(f"takes a whole number {span}, not {text}")
        return number

    return parse


def positive(text: str) -> float:
    """Finite numbers above 0."""
    return _number(text, "above 0", lambda number: number > 0)


def positive_or(word: str) -> Callable[[str], float | str]:
    """Finite numbers above 0, or a word."""

    def parse(text: str) -> float | str:
        return word if text == word else positive(text)

    return parse


def not_negative(text: str) -> float:
    """Finite numbers of 0 or more."""
    return _number(text, "of 0 or more", lambda number: number >= 0)


def share(text: str) -> float:
    """Numbers from 0 to below 1."""
    return _number(text, "from 0 to below 1", lambda number: 0 <= number < 1)


def _number(text: str, span: str, holds: Callable[[float], bool]) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ArgumentTypeError(f"takes a number, not {text}") from None
    if not (math.isfinite(number) and holds(number)):
        raise ArgumentTypeError(f"takes a number {span}, not {text}")
    return number


def counts(text: str) -> list[int]:
    """Whole numbers above 0 with commas between them: 1,8,32."""
    return _listed(text, whole(1))


def rates(text: str) -> list[float]:
    """Numbers above 0 with commas between them: 50,100."""
    return _listed(text, positive)


def _listed(text: str, parse: Callable[[str], N]) -> list[N]:
    return [parse(part) for part in text.split(",")]


def input_file(text: str) -> Path:
    """A file that is there."""
    path = Path(text)
    if path.is_dir():
        raise ArgumentTypeError(f"takes a file, and {text} is a folder")
    if not path.exists():
        raise ArgumentTypeError(f"takes a file, and there is none at {text}")
    return path


def input_folder(text: str) -> Path:
    """A folder that is there."""
    path = Path(text)
    if not path.is_dir():
        what = f"{text} is a file" if path.exists() else f"there is none at {text}"
        raise ArgumentTypeError(f"takes a folder, and {what}")
    return path


def existing(text: str) -> Path:
    """A file or folder that is there."""
    path = Path(text)
    if not path.exists():
        raise ArgumentTypeError(f"takes a file or folder, and there is none at {text}")
    return path


def folder_or(word: str) -> Callable[[str], Path | str]:
    """A folder that is there, or a word."""

    def parse(text: str) -> Path | str:
        return word if text == word else input_folder(text)

    return parse


def folder(text: str) -> Path:
    """A folder; it need not be there yet, nor be writable."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise ArgumentTypeError(f"takes a folder, and {text} is a file")
    return path


def output(text: str) -> Path:
    """A file or folder that can be written."""
    path = Path(text)
    _try_writing(path if path.is_dir() else path.parent, text)
    return path


def output_file(text: str) -> Path:
    """A file that can be written; it may be there, and its folder need not be."""
    path = Path(text)
    if path.is_dir():
        raise ArgumentTypeError(f"takes a file to write, and {text} is a folder")
    _try_writing(path.parent, text)
    return path


def output_picture(text: str) -> Path:
    """A picture file that can be written, in a format that its ending names."""
    path = output_file(text)
    if path.suffix.lower() not in SUFFIXES:
        raise ArgumentTypeError(f"takes a name that ends in {one_of(SUFFIXES)}, not {text}")
    return path


def output_folder(text: str) -> Path:
    """A folder that can be written into; it need not be there."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise ArgumentTypeError(f"takes a folder to write into, and {text} is a file")
    _try_writing(path, text)
    return path


def store(text: str) -> StoreAddress:
    """A store's URL, or a folder; it need not be there yet."""
    return _store(text, folder)


def pictures(text: str) -> StoreAddress:
    """A URL, or a file or folder that is there."""
    return _store(text, existing)


def input_store(text: str) -> StoreAddress:
    """A store's URL, or a folder that is there."""
    return _store(text, input_folder)


def output_store(text: str) -> StoreAddress:
    """A store's URL, or a folder that can be written into."""
    return _store(text, output_folder)


def _store(text: str, kind: Callable[[str], Path]) -> StoreAddress:
    try:
        address = store_address(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    return kind(str(address)) if isinstance(address, Path) else address


def _try_writing(folder: Path, text: str) -> None:
    """Write a nameless file into the nearest folder there is: permissions alone do not tell of read-only disks."""
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise ArgumentTypeError(f"cannot write {text}: {error.strerror} ({nearest})") from None


def dataset(text: str) -> str:
    """`demo`, or a folder that is there."""
    if text != "demo" and not Path(text).is_dir():
        raise ArgumentTypeError(f"takes demo or a folder, and there is none at {text}")
    return text
