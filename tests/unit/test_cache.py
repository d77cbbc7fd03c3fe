"""Compiled engines on disk: found by everything that shaped them, rebuilt when stale or damaged, never used then."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

import engine.cache
from engine.cache import ENTRY, PAYLOAD, EngineCache, Key
from engine.errors import EngineError

KEY = Key("model", "zero_shot", "answer", "float32", 64, (1, 2), "inductor", "2.0", "a processor")


class Builder:
    """Builds a file that says how often it was built."""

    def __init__(self) -> None:
        self.built = 0

    def build(self, folder: Path) -> None:
        self.built += 1
        (folder / "engine").write_text(f"engine {self.built}")

    def __call__(self, cache: EngineCache, key: Key = KEY) -> str:
        return cache.load(key, self.build, lambda folder: (folder / "engine").read_text())


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


def test_an_entry_is_built_once(cache: EngineCache) -> None:
    get = Builder()
    assert [get(cache), get(cache), get(EngineCache(cache.root))] == ["engine 1"] * 3
    assert [path.name for path in cache.root.iterdir()] == [KEY.digest]
    assert cache.root.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"program": "one_shot"},
        {"scope": "canvas"},
        {"dtype": "float16"},
        {"slots": 8},
        {"buckets": (1, 4)},
        {"backend": "openvino"},
        {"version": "2.1"},
        {"device": "another processor"},
    ],
)
def test_whatever_shapes_an_engine_is_in_its_key(cache: EngineCache, change: dict[str, object]) -> None:
    assert change.keys() <= {field.name for field in dataclasses.fields(Key)}
    get = Builder()
    assert get(cache) == "engine 1"
    assert get(cache, dataclasses.replace(KEY, **change)) == "engine 2"
    assert get(cache) == "engine 1"


def test_every_field_of_the_key_is_covered_above() -> None:
    assert len(dataclasses.fields(Key)) == 9


def test_an_engine_that_other_code_built_is_stale(cache: EngineCache, monkeypatch: pytest.MonkeyPatch) -> None:
    get = Builder()
    get(cache)
    monkeypatch.setattr(engine.cache, "source_digest", lambda: "other code")
    assert get(cache) == "engine 2"


def _truncate(entry: Path) -> None:
    (entry / PAYLOAD / "engine").write_text("engin")


def _remove_payload(entry: Path) -> None:
    (entry / PAYLOAD / "engine").unlink()


def _add_file(entry: Path) -> None:
    (entry / PAYLOAD / "more").write_text("?")


def _break_entry(entry: Path) -> None:
    (entry / ENTRY).write_text("{")


def _remove_entry(entry: Path) -> None:
    (entry / ENTRY).unlink()


def _other_key(entry: Path) -> None:
    found = json.loads((entry / ENTRY).read_text())
    found["key"]["model"] = "other"
    (entry / ENTRY).write_text(json.dumps(found))


@pytest.mark.parametrize("damage", [_truncate, _remove_payload, _add_file, _break_entry, _remove_entry, _other_key])
def test_a_damaged_entry_is_built_again(cache: EngineCache, damage: object, caplog: pytest.LogCaptureFixture) -> None:
    get = Builder()
    get(cache)
    assert callable(damage)
    damage(cache.root / KEY.digest)
    assert get(cache) == "engine 2"
    assert get(cache) == "engine 2"
    assert "damaged" in caplog.text


def test_an_entry_that_cannot_be_loaded_is_built_again(cache: EngineCache, caplog: pytest.LogCaptureFixture) -> None:
    builder = Builder()

    def load(folder: Path) -> str:
        if builder.built == 1 and loads:
            raise RuntimeError("made for another driver")
        loads.append(folder)
        return (folder / "engine").read_text()

    loads: list[Path] = []
    assert cache.load(KEY, builder.build, load) == "engine 1"
    assert cache.load(KEY, builder.build, load) == "engine 2"
    assert "refused" in caplog.text
    assert "made for another driver" in caplog.text


def test_what_cannot_be_loaded_fresh_is_an_error(cache: EngineCache) -> None:
    def load(folder: Path) -> str:
        raise EngineError("refused")

    with pytest.raises(EngineError, match="refused"):
        cache.load(KEY, Builder().build, load)


def test_a_failed_build_leaves_nothing(cache: EngineCache) -> None:
    def build(folder: Path) -> None:
        (folder / "engine").write_text("half")
        raise EngineError("an operator is missing")

    with pytest.raises(EngineError, match="operator"):
        cache.load(KEY, build, lambda folder: None)
    assert list(cache.root.iterdir()) == []
    assert Builder()(cache) == "engine 1"


def test_another_process_may_build_the_same_meanwhile(cache: EngineCache) -> None:
    first, second = Builder(), Builder()

    def build(folder: Path) -> None:
        second(cache)
        first.build(folder)

    loaded = cache.load(KEY, build, lambda folder: (folder / "engine").read_text())
    assert loaded == "engine 1"
    assert [path.name for path in cache.root.iterdir()] == [KEY.digest]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(EngineError, match="cannot be written"):
        Builder()(EngineCache(tmp_path / "engines"))


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "engines").write_text("")
    with pytest.raises(EngineError, match="cannot be written"):
        Builder()(EngineCache(tmp_path / "engines"))
