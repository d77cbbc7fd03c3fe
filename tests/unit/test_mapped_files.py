"""What was read of a mapped file is given back, and nothing that was written."""

import mmap
import re
from pathlib import Path

from engine.mapped_files import forget_pages

SIZE = 8 * 2**20


def resident(path: Path) -> int:
    """KiB of a file in this process's memory."""
    blocks = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text(), flags=re.M)
    return sum(int(re.findall(r"^Rss: +(\d+)", block, re.M)[0]) for block in blocks if str(path) in block)


def test_what_was_read_is_given_back_and_found_again(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    for folder in (tmp_path / "ours", tmp_path):
        (folder / "file").write_bytes(b"x" * SIZE)
    with (tmp_path / "ours/file").open("rb") as ours, (tmp_path / "file").open("rb") as other:
        read = [mmap.mmap(file.fileno(), SIZE, prot=mmap.PROT_READ) for file in (ours, other)]
        written = mmap.mmap(ours.fileno(), SIZE, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        written[:] = b"y" * SIZE
        assert [bytes(each[:]) == b"x" * SIZE for each in read] == [True, True]
        before = resident(tmp_path / "ours/file")
        forget_pages(tmp_path / "ours")
        assert resident(tmp_path / "ours/file") <= before - SIZE // 1024
        assert resident(tmp_path / "file") >= SIZE // 1024
        assert bytes(written[:]) == b"y" * SIZE
        assert bytes(read[0][:]) == b"x" * SIZE
        for each in (*read, written):
            each.close()
