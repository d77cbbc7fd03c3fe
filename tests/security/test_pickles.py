"""Pickles of strangers: what NumPy and PyTorch write is read, and nothing that a file says reaches beyond its bytes."""

import io
import pickle
import pickletools
import resource
import subprocess
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from artifacts.errors import OfflineError
from artifacts.pickles.plain import as_tensor, read_pickle
from artifacts.pickles.torch_file import read_torch_file
from artifacts.search.upstream import read_logits, read_means

NUMBERS = np.arange(2 * 1 * 3 * 2 * 4, dtype=np.float32).reshape(2, 1, 3, 2, 4)


def written(path: Path, data: Any, protocol: int, module: str = "numpy._core") -> Path:
    """A pickle, with NumPy's modules under the names of one of its versions."""
    content = pickle.dumps(data, protocol=protocol)
    if module == "numpy.core" and protocol < 4:  # in later protocols a name's length is written before it
        content = content.replace(b"numpy._core.", b"numpy.core.")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("module", ["numpy.core", "numpy._core"])
@pytest.mark.parametrize(
    "view",
    [
        lambda a: a,
        lambda a: a.astype(">f8"),
        np.asfortranarray,
        lambda a: a[:, :, ::-1],
        lambda a: a.T.astype(np.float16),
    ],
    ids=["plain", "big-endian", "fortran", "reversed", "transposed"],
)
def test_arrays_of_every_protocol(tmp_path: Path, protocol: int, module: str, view: Callable[..., Any]) -> None:
    array = view(NUMBERS)
    read = as_tensor(read_pickle(written(tmp_path / "a.pkl", array, protocol, module)))
    assert read is not None
    assert read.numpy().dtype == array.dtype.newbyteorder("=")
    assert np.array_equal(read.numpy(), array)


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize(
    "tensor",
    [
        torch.nn.Parameter(torch.from_numpy(NUMBERS)),
        torch.from_numpy(NUMBERS).transpose(1, 3),
        torch.from_numpy(NUMBERS)[1:],
        torch.from_numpy(NUMBERS).bfloat16(),
    ],
    ids=["parameter", "transposed", "part", "bfloat16"],
)
def test_tensors_and_parameters(tmp_path: Path, protocol: int, tensor: torch.Tensor) -> None:
    means, logits = written(tmp_path / "m.pkl", [7, tensor, tensor], protocol), tmp_path / "l.pkl"
    assert torch.equal(as_tensor(read_pickle(means)[1]), tensor.detach())  # type: ignore[arg-type]
    written(logits, [torch.nn.Parameter(torch.tensor(0.5)), np.float32(-1), np.array(2.0), 3.0], protocol)
    assert read_logits(logits).tolist() == [0.5, -1, 2, 3]


def test_means_of_arrays_and_of_parameters_are_the_same(tmp_path: Path) -> None:
    arrays = read_means(written(tmp_path / "a.pkl", [7, NUMBERS, NUMBERS], 5))
    tensors = [torch.nn.Parameter(torch.from_numpy(NUMBERS))] * 2
    assert all(map(torch.equal, arrays[1:], read_means(written(tmp_path / "t.pkl", [7, *tensors], 2))[1:]))


class Says:
    """Pickles to a call of `function`, with `state` to follow."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.said = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.said


RECONSTRUCT = pickle.dumps(np.zeros(1), 2)
rebuild = np.zeros(1).__reduce__()[0]
float32 = np.dtype("f4")
HOSTILE: dict[str, Any] = {
    "pointers into memory": Says(np.ndarray, (1 << 20,), "O", bytearray(8)),
    "a view of all memory": Says(np.ndarray, (1 << 40,), "f4", bytearray(8), 0, (0,)),
    "an array of objects": np.array([None, "x"], object),
    "a record": np.zeros(2, [("a", "f4"), ("b", "O")]),
    "objects by state": Says(rebuild, np.ndarray, (0,), b"b", state=(1, (1,), np.dtype("O"), False, [1])),
    "more than its bytes": Says(rebuild, np.ndarray, (0,), b"b", state=(1, (1 << 50,), float32, False, b"1234")),
    "a negative shape": Says(rebuild, np.ndarray, (0,), b"b", state=(1, (-1, -1), float32, False, b"1234")),
    "a shape of truths": Says(rebuild, np.ndarray, (0,), b"b", state=(1, (True,), float32, False, b"1234")),
    "bytes that are none": Says(rebuild, np.ndarray, (0,), b"b", state=(1, (1,), float32, False, "1234")),
    "a type by its name": Says(np.dtype, "O", False, True),
    "a type of a structure": Says(np.dtype, [("a", "O")], False, True),
    "dates": np.array(["2026-01-01"], "M8[D]"),
    "texts": np.array(["x"]),
    "a constructor": np.ndarray,
    "a scalar of objects": Says(np.float32(1).__reduce__()[0], np.dtype("O"), b"12345678"),
    "a call": Says(eval, "1"),
    "an attribute": Says(getattr, "text", "upper"),
    "another codec": Says(__import__("_codecs").encode, "x", "rot13"),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("protocol", [2, 5])
def test_a_hostile_pickle_is_refused(tmp_path: Path, kind: str, protocol: int) -> None:
    path = written(tmp_path / "h.pkl", [7, HOSTILE[kind], NUMBERS], protocol)
    with pytest.raises(OfflineError, match=r"h\.pkl"):
        read_means(path)
    with pytest.raises(OfflineError, match=r"h\.pkl"):
        read_logits(written(path, [HOSTILE[kind]], protocol))


def rebuilt(content: torch.Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Says:
    return Says(torch._utils._rebuild_tensor_v2, content.storage(), offset, size, stride, False, OrderedDict())


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.parametrize(
    "tensor",
    [
        ((1 << 40,), (1,), 0),
        ((1 << 40,), (0,), 0),
        ((4,), (1,), 1),
        ((2,), (-1,), 1),
        ((2,), (1,), -1),
        ((2, 2), (3, 1), 0),
        ((2, 2), (1,), 0),
        ((True,), (1,), 0),
    ],
)
@pytest.mark.parametrize("whole_file", [False, True])
def test_a_tensor_that_leaves_its_storage_is_refused(tmp_path: Path, tensor: Any, whole_file: bool) -> None:
    size, stride, offset = tensor
    hostile, path = [rebuilt(torch.ones(4), offset, size, stride)], tmp_path / "h.pkl"
    path.write_bytes(pickle.dumps(hostile))
    with pytest.raises(OfflineError, match=r"h\.pkl"):
        read_pickle(path)
    torch.save(hostile, path, _use_new_zipfile_serialization=whole_file)
    with pytest.raises(OfflineError, match=r"h\.pkl"):
        read_torch_file(path)


def test_a_checkpoint_of_another_byte_order_is_refused(tmp_path: Path) -> None:
    written_here, other = tmp_path / "a.pth", tmp_path / "b.pth"
    torch.save({"a": torch.ones(3)}, written_here)
    with zipfile.ZipFile(written_here) as archive, zipfile.ZipFile(other, "w") as copy:
        for name in archive.namelist():
            copy.writestr(name, b"big" if name.endswith("byteorder") else archive.read(name))
    with pytest.raises(OfflineError, match="another byte order"):
        read_torch_file(other)


def test_what_a_pickle_remembers_is_bounded_by_its_length(tmp_path: Path) -> None:
    path = tmp_path / "h.pkl"
    path.write_bytes(b"\x80\x02]r" + (2**31 - 1).to_bytes(4, "little") + b".")  # LONG_BINPUT: 16 GB of memo
    with pytest.raises(OfflineError, match="remembers"):
        read_pickle(path)
    path.write_bytes(b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b"x.")  # BYTEARRAY8 of a terabyte
    with pytest.raises(OfflineError, match="not a pickle"):
        read_pickle(path)


@pytest.mark.parametrize(
    "use",
    [b"cbuiltins\nset\n]%sa\x85R.", b"}%sK\x01s.", b"(%s\x91.", b"%s."],
    ids=["set", "dict", "frozenset", "alone"],
)
def test_tuples_within_tuples_are_bounded_by_its_length(tmp_path: Path, use: bytes) -> None:
    """Each holds the one before it twice, and all are looked at when the last one becomes a name or a member."""
    tuples = b"K\x01\x85" + b"".join(b"q%ch%c\x86" % (number, number) for number in range(60))
    path = tmp_path / "h.pkl"
    path.write_bytes(b"\x80\x04" + use % tuples)
    with pytest.raises(OfflineError, match="tuples within tuples"):
        read_pickle(path)
    by_place = b"K\x01\x85" + b"".join(b"\x94h%c\x86" % number for number in range(60))
    path.write_bytes(b"\x80\x04" + use % by_place)
    with pytest.raises(OfflineError, match="tuples within tuples"):
        read_pickle(path)


def test_one_array_named_many_times_is_not_so_many_arrays(tmp_path: Path) -> None:
    path = written(tmp_path / "l.pkl", [NUMBERS.repeat(100)] * 100_000, 5)
    with pytest.raises(OfflineError, match="more than 10000000 logits"):
        read_logits(path)


def test_nothing_can_be_written_to_what_is_lent(tmp_path: Path) -> None:
    """A state for the function itself, where a file may leave its own code's attributes."""
    path = tmp_path / "h.pkl"
    stream = io.BytesIO()
    stream.write(b"\x80\x02c_codecs\nencode\n}U\x0c__defaults__)sb.")
    path.write_bytes(stream.getvalue())
    with pytest.raises(OfflineError, match="changes what it asks for"):
        read_pickle(path)


def test_a_hostile_pickle_takes_no_memory(tmp_path: Path) -> None:
    """In a process of its own, that may not have half a gigabyte: the file that followed pointers was of 130 bytes."""
    path = written(tmp_path / "h.pkl", [HOSTILE["pointers into memory"]], 2)
    assert len(pickletools.optimize(path.read_bytes())) < 200
    code = f"from pathlib import Path; from artifacts.pickles import plain; plain.read_pickle(Path({str(path)!r}))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "OfflineError" in ended.stderr
    assert ended.returncode == 1
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 2 << 20


def test_instructions_are_bounded(tmp_path: Path) -> None:
    """What each of them costs is small, and 2,000,000 of a file of 4 MB took 18 s."""
    path = tmp_path / "h.pkl"
    path.write_bytes(b"\x80\x02](" + b"K\x01" * 999_995 + b"e.")
    assert len(read_pickle(path)) == 999_995
    path.write_bytes(b"\x80\x02](" + b"K\x01" * 1_000_000 + b"e.")
    with pytest.raises(OfflineError, match="more than 1,000,000 instructions"):
        read_pickle(path)
