"""artifacts.store.objects against a real S3 server, and one that fails."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from artifacts.errors import ArtifactError, StoreAway
from artifacts.objects import Held
from artifacts.store.base import PublishedMeanwhile, RetiredTask
from artifacts.store.objects import ObjectStore
from tests.object_storage.conftest import URL
from tests.object_storage.faults import Fault, FaultyProxy
from tests.support import make_artifact


def made(folder: Path, seed: int, task: str = "identity") -> Path:
    path = folder / f"{task}{seed}"
    make_artifact(path, task, "m", seed)
    return path


def test_a_task_is_published_read_listed_replaced_and_retired(store: ObjectStore, tmp_path: Path) -> None:
    assert store.names() == []
    first = store.publish(made(tmp_path, 1)).hash
    assert store.read("identity").hash == store.hash_of("identity") == first
    second = store.publish(made(tmp_path, 2)).hash
    store.publish(made(tmp_path, 3, "inpaint"))
    assert store.read_any("identity").hash == second != first
    assert store.names() == ["identity", "inpaint"]
    store.retire("inpaint")
    assert store.names() == ["identity"]
    assert set(store.look().marks) == {"identity", "inpaint"}
    with pytest.raises(RetiredTask, match="inpaint in s3://bucket/some/prefix is retired"):
        store.read("inpaint")
    with pytest.raises(ArtifactError, match=r"no task identiti .*; did you mean identity"):
        store.read("identiti")
    store.publish(made(tmp_path, 3, "inpaint"))
    assert store.names() == ["identity", "inpaint"]


def test_a_mark_changes_when_what_its_name_means_does(store: ObjectStore, tmp_path: Path) -> None:
    marks = []
    for act in (
        lambda: store.publish(made(tmp_path, 1)),
        lambda: store.publish(made(tmp_path, 2)),
        lambda: store.retire("identity"),
        lambda: store.publish(made(tmp_path, 2)),
    ):
        act()
        marks.append(store.look().marks["identity"])
        assert store.look().marks["identity"] == marks[-1]
    assert marks[0] != marks[1] != marks[2] != marks[3] == marks[1]


def test_of_two_publishers_at_once_one_wins_and_the_other_is_told(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have seen the name before either writes it; one after the other, as this S3 server checks a condition and
    writes in two steps."""
    paths = [made(tmp_path, seed) for seed in (1, 2)]
    both, told, writing = threading.Barrier(2), list[str](), threading.Lock()
    upload, point = ObjectStore.put_blob, ObjectStore._point

    def after_both_looked(self: ObjectStore, content: bytes, digest: str) -> None:
        both.wait(30)
        upload(self, content, digest)

    def alone(self: ObjectStore, name: str, text: str, before: Held | None) -> None:
        with writing:
            point(self, name, text, before)

    monkeypatch.setattr(ObjectStore, "put_blob", after_both_looked)
    monkeypatch.setattr(ObjectStore, "_point", alone)

    def publish(path: Path) -> str | None:
        try:
            return ObjectStore(URL).publish(path).hash
        except PublishedMeanwhile as error:
            told.append(str(error))
            return None

    for _ in range(3):  # of a new name, then of one that is there
        with ThreadPoolExecutor(2) as pool:
            won = [digest for digest in pool.map(publish, paths) if digest]
        assert won == [store.hash_of("identity")]
        assert told.pop().endswith(f"changed by another publisher meanwhile: it is {won[0]} now")
        monkeypatch.setattr(ObjectStore, "put_blob", upload)
        store.publish(made(tmp_path, 3))
        monkeypatch.setattr(ObjectStore, "put_blob", after_both_looked)


@pytest.mark.parametrize(
    "fault", ["500", "503", "reset", "truncate", "lost_answer", pytest.param("hang", marks=pytest.mark.slow)]
)
def test_a_fault_that_passes_is_not_noticed(
    proxy: FaultyProxy, store: ObjectStore, tmp_path: Path, fault: Fault
) -> None:
    path = made(tmp_path, 1)
    proxy.script.extend([fault, None] * 4)  # of four requests each first try fails
    digest = store.publish(path).hash
    proxy.script.clear()
    for work in (store.names, store.look, lambda: store.hash_of("identity"), lambda: store.read("identity")):
        proxy.script.append(fault)
        work()  # type: ignore[operator]
        proxy.heal()
    assert store.read("identity").hash == digest
    assert store.names() == ["identity"]


@pytest.mark.parametrize("fault", ["503", *(pytest.param(fault, marks=pytest.mark.slow) for fault in ("500", "reset"))])
def test_a_store_that_stays_away_says_so_in_a_line(
    proxy: FaultyProxy, store: ObjectStore, tmp_path: Path, fault: Fault
) -> None:
    path = made(tmp_path, 1)
    store.publish(path)
    proxy.always = fault
    for work in (store.names, store.look, lambda: store.read("identity"), lambda: store.publish(path)):
        with pytest.raises(StoreAway, match=r"^s3://bucket/some/prefix cannot be used: .+") as raised:
            work()  # type: ignore[operator]
        assert "\n" not in str(raised.value)
    proxy.heal()
    assert store.names() == ["identity"]


def test_a_bucket_that_is_not_there_is_no_empty_store(proxy: FaultyProxy) -> None:
    with pytest.raises(StoreAway, match="cannot be used"):
        ObjectStore("s3://no-such-bucket/prefix").look()


def test_damaged_content_is_never_given_out_and_is_mended(store: ObjectStore, tmp_path: Path) -> None:
    import obstore

    path = made(tmp_path, 1)
    digest = store.publish(path).hash
    obstore.put(store._objects._objects, f"blobs/{digest}.safetensors", path.read_bytes()[:-1])
    with pytest.raises(StoreAway, match="damaged blob"):
        store.read("identity")
    store.publish(path)
    assert store.read("identity").hash == digest
    obstore.put(store._objects._objects, "tasks/identity", digest[:20].encode())
    with pytest.raises(ArtifactError, match="is no hash"):
        store.read("identity")
    obstore.put(store._objects._objects, f"tasks/{'inpaint'}", b"0" * 64)
    with pytest.raises(StoreAway, match="lacks the blob"):
        store.read("inpaint")
