"""Where many pictures lie: a folder, or a prefix in object storage."""

from pathlib import Path
from typing import Protocol

from artifacts.errors import OfflineError
from artifacts.pictures.formats import SUFFIXES
from artifacts.pictures.read import file_data
from artifacts.store.address import StoreAddress


class PictureFiles(Protocol):
    """Can be sent to another process, which must see the same files."""

    def names(self) -> list[str]:
        """Of all pictures, below each other too, sorted. Raises OfflineError."""

    def read(self, name: str) -> bytes:
        """Raises OfflineError."""


class FolderPictures:
    """Pictures below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def names(self) -> list[str]:
        paths = (path for path in self.root.rglob("*") if is_picture(path.name) and path.is_file())
        return sorted(path.relative_to(self.root).as_posix() for path in paths)

    def read(self, name: str) -> bytes:
        return file_data(self.root / name)


class ObjectPictures:
    """Pictures below a URL."""

    def __init__(self, url: str) -> None:
        self.url = url

    def names(self) -> list[str]:
        from artifacts.objects import objects_at

        return sorted(name for name in objects_at(self.url).list("") if is_picture(name))

    def read(self, name: str) -> bytes:
        from artifacts.objects import objects_at

        held = objects_at(self.url).get(name)
        if held is None:
            raise OfflineError(f"{name} is no longer in {self.url}")
        return held.content


def is_picture(name: str) -> bool:
    """By the name's ending; what is in the file is seen when it is read."""
    return name.lower().endswith(SUFFIXES)


def open_pictures(address: StoreAddress) -> PictureFiles:
    """The pictures at an address."""
    return FolderPictures(address) if isinstance(address, Path) else ObjectPictures(address)


def output_names(names: list[str], suffix: str) -> dict[str, str]:
    """`a/b.jpg` is answered in `a/b.png`; in `a/b.jpg.png` where another picture's answer would have that name."""
    stems = [name.rpartition(".")[0] for name in names]
    taken: dict[str, int] = {}
    for stem in stems:
        taken[stem] = taken.get(stem, 0) + 1
    return {name: f"{stem if taken[stem] == 1 else name}{suffix}" for name, stem in zip(names, stems, strict=True)}
