"""Files of `torch.save`, in the archive that PyTorch writes since 1.6 and in the sequence of pickles before it."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final
from zipfile import ZIP_STORED, ZipFile, is_zipfile

import torch
from torch import Tensor

from artifacts.errors import OfflineError
from artifacts.pickles.tensors import Storage, StorageKind
from artifacts.pickles.unpickler import Names, PlainUnpickler

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL: Final = b"\x80"
"""What a pickle begins with."""
_LENGTH: Final = struct.Struct("<q")
Inert = Callable[[str], bool]


def read_torch_file(path: Path, inert: Inert = lambda _: False) -> Any:
    """What a file holds; raises OfflineError that names what is refused. `inert` as PlainUnpickler's."""
    try:
        with path.open("rb") as file:
            return read_torch(file, inert)
    except OfflineError as error:
        raise OfflineError(f"{path} is refused: {error}") from None
    except OSError as error:
        raise OfflineError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # a damaged pickle can raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OfflineError(f"{path} is not a checkpoint of tensors: {reason[:160]}") from None


def read_torch(file: BinaryIO, inert: Inert = lambda _: False) -> Any:
    """Raises OfflineError, and whatever a damaged file does."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if is_zipfile(file):
        file.seek(0)
        with ZipFile(file) as archive:
            return _ArchiveUnpickler(archive, size, inert).load()
    file.seek(0)
    head = file.read(1)
    if head != _PROTOCOL:
        raise OfflineError("its archive is not whole" if head == b"P" else "it is no file of torch.save")
    file.seek(0)
    return _read_legacy(file, size, inert)


def storage_names() -> Names:
    """How a bare pickle holds a tensor's numbers: as a whole file of `torch.save`."""

    def load(content: object) -> Any:
        if not isinstance(content, bytes):
            raise OfflineError("it holds a storage that is no file")
        return read_torch(io.BytesIO(content))

    return {("torch.storage", "_load_from_bytes"): load}


class _FileUnpickler(PlainUnpickler):
    """Gives out each storage once, and all together no more bytes than the file has."""

    def __init__(self, stream: BinaryIO, size: int, inert: Inert) -> None:
        super().__init__(stream, storage_names(), inert)
        self.storages: dict[str, Storage] = {}
        self._left = size

    def persistent_load(self, pid: object) -> Any:
        match pid:
            case ("storage", StorageKind() as kind, str(key), str(), int(count), *view) if view in ([], [None]):
                if key not in self.storages:
                    self._left -= count * kind.dtype.itemsize
                    if count < 0 or self._left < 0:
                        raise OfflineError(f"it holds a storage of {count} numbers, more than its bytes")
                    self.storages[key] = Storage(self.numbers(key, kind.dtype, count))
                return self.storages[key]
        raise OfflineError("it refers to data outside of itself")

    def numbers(self, key: str, dtype: torch.dtype, count: int) -> Tensor:
        """A storage's numbers; those that follow later are filled in then."""
        return torch.zeros(count, dtype=dtype)


class _ArchiveUnpickler(_FileUnpickler):
    """The archive's `data.pkl`; each storage is a member beside it."""

    def __init__(self, archive: ZipFile, size: int, inert: Inert) -> None:
        found = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
        if len(found) != 1:
            raise OfflineError("it is an archive without one data.pkl")
        self._archive, self._folder = archive, found[0].removesuffix("data.pkl")
        order = self._folder + "byteorder"
        if order in archive.namelist() and archive.getinfo(order).file_size < 10 and archive.read(order) != b"little":
            raise OfflineError("it was written on a machine with another byte order")
        super().__init__(io.BytesIO(self._member("data.pkl")), size, inert)

    def numbers(self, key: str, dtype: torch.dtype, count: int) -> Tensor:
        content = self._member(f"data/{key}")
        if len(content) != count * dtype.itemsize:
            raise OfflineError(f"it holds a storage of {count} numbers in {len(content)} bytes")
        return _as_tensor(content, dtype)

    def _member(self, name: str) -> bytes:
        """torch.save does not compress, so what is read is never larger than the file."""
        whole = self._folder + name
        if self._archive.getinfo(whole).compress_type != ZIP_STORED:
            raise OfflineError(f"its member {whole} is compressed"[:200])
        return self._archive.read(whole)


def _read_legacy(file: BinaryIO, size: int, inert: Inert) -> Any:
    """Five pickles: a magic number, a version, the machine, the object, the storages' keys; then their numbers."""
    if PlainUnpickler(file).load() != _MAGIC:
        raise OfflineError("it is no file of torch.save")
    PlainUnpickler(file).load()
    machine = PlainUnpickler(file).load()
    if not isinstance(machine, dict) or machine.get("little_endian") is False:
        raise OfflineError("it was written on a machine with another byte order")
    unpickler = _FileUnpickler(file, size, inert)
    held = unpickler.load()
    keys = PlainUnpickler(file).load()
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(unpickler.storages):
        raise OfflineError("its storages are not those that it refers to")
    for key in keys:
        into = unpickler.storages[key].numbers
        (count,) = _LENGTH.unpack(file.read(_LENGTH.size))
        content = file.read(into.numel() * into.itemsize)
        if count != into.numel() or len(content) != into.numel() * into.itemsize:
            raise OfflineError("it is not whole")
        into.copy_(_as_tensor(content, into.dtype))
    return held


def _as_tensor(content: bytes, dtype: torch.dtype) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=dtype) if content else torch.empty(0, dtype=dtype)
