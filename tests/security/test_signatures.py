"""Artifacts that nobody signed who is trusted are refused, whichever way they come."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from artifacts.errors import ArtifactError
from artifacts.store.base import ArtifactStore
from artifacts.store.folder import Store
from artifacts.store.objects import ObjectStore
from artifacts.store.signature import TrustedKeys, signed
from tests.object_storage.s3_server import BUCKET, S3Server, environment
from tests.support import ServerProcess, make_artifact, make_residual, photo, wait_until

KEY = {"Authorization": "Bearer k"}


def key_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """Files of a private key and of its public one."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return key_pair(tmp_path_factory.mktemp("keys"), "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return key_pair(tmp_path_factory.mktemp("keys"), "theirs")


@pytest.fixture
def file(tmp_path: Path, tiny_model: tuple[Path, str]) -> bytes:
    make_artifact(tmp_path / "a", "identity", tiny_model[1], 1)
    return (tmp_path / "a").read_bytes()


def spread(content: bytes) -> bytes:
    """The same tensors and metadata, the header written another way."""
    size = int.from_bytes(content[:8], "little")
    text = json.dumps(json.loads(content[8 : 8 + size])).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def doubled(content: bytes) -> bytes:
    """With another description before the one that was signed."""
    size = int.from_bytes(content[:8], "little")
    text = content[8 : 8 + size].rstrip().replace(b'"description":', b'"description":"x","description":')
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def test_what_was_signed_is_taken_and_nothing_else(
    file: bytes, ours: tuple[Path, Path], theirs: tuple[Path, Path], tmp_path: Path
) -> None:
    keys, good = TrustedKeys([theirs[1], ours[1]]), signed(file, ours[0])
    keys.check(good, "it")
    keys.check(signed(signed(file, theirs[0]), ours[0]), "it")
    make_residual(tmp_path / "r", "identity", "f" * 64, 1, width=4)
    keys.check(signed((tmp_path / "r").read_bytes(), ours[0]), "it")
    assert signed(good, ours[0]) == good
    alone = TrustedKeys([ours[1]])
    where = good.index(b"Random vector")
    for bad, why in (
        (file, "is not signed, and"),
        (signed(file, theirs[0]), "not signed by one of the 1 trusted keys"),
        (good[:-1] + bytes([good[-1] ^ 1]), "or was changed since"),
        (good[:where] + b"r" + good[where + 1 :], "or was changed since"),
        (spread(good), "or was changed since"),
        (doubled(good), "or was changed since"),
        (good.replace(b'"signature":"', b'"signature":"='), "or was changed since"),
        (b"hello", "is no artifact"),
        (b"\xff" * 64, "is no artifact"),
        ((2).to_bytes(8, "little") + b"[]", "is no artifact"),
    ):
        with pytest.raises(ArtifactError, match=why):
            alone.check(bad, "it")


@pytest.fixture(scope="module")
def trusting(
    start_server: Callable[..., ServerProcess],
    ours: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> ServerProcess:
    store = tmp_path_factory.mktemp("store") / "store"
    return start_server(trusted_keys=str(ours[1]), store=str(store), admin_key="k", codec_processes="1")


def published(file: bytes, store: ArtifactStore, folder: Path) -> str:
    (folder / "given").write_bytes(file)
    return store.publish(folder / "given").hash


@pytest.mark.slow
def test_a_server_takes_what_trusted_keys_signed(
    trusting: ServerProcess, file: bytes, ours: tuple[Path, Path], theirs: tuple[Path, Path], tmp_path: Path
) -> None:
    store, refused = Store(Path(trusting.settings["store"])), 0
    for bad in (file, signed(file, theirs[0])):
        reply = trusting.client.put("/tasks/identity", content=bad, headers=KEY)
        assert (reply.status_code, reply.json()["code"]) == (400, "invalid_request")
        assert "not signed by a key" in reply.json()["detail"]
        assert "an uploaded artifact of task identity is not signed" in trusting.log
        published(bad, store, tmp_path)
        refused += 1
        wait_until(lambda: trusting.metric("vtv_artifacts_refused_total") == refused)  # noqa: B023
        assert trusting.infer("identity", photo()).status_code == 404
    assert "task identity is left out: the artifact of task identity is not signed" in trusting.log
    good = signed(file, ours[0])
    reply = trusting.client.put("/tasks/identity", content=good, headers=KEY)
    assert reply.status_code == 201
    assert trusting.infer("identity", photo()).headers["x-vtv-artifact"] == reply.json()["artifact"]
    published(file, store, tmp_path)
    wait_until(lambda: trusting.metric("vtv_artifacts_refused_total") == refused + 1)
    assert trusting.infer("identity", photo()).headers["x-vtv-artifact"] == reply.json()["artifact"]


@pytest.mark.slow
def test_signed_on_the_command_line_and_seen_in_the_folder(
    trusting: ServerProcess, file: bytes, ours: tuple[Path, Path], tiny_model: tuple[Path, str], tmp_path: Path
) -> None:
    make_artifact(tmp_path / "i", "inpaint", tiny_model[1], 4)
    given = ["--store", trusting.settings["store"], "--model", str(tiny_model[0]), "--json", "--sign", str(ours[0])]
    command = [sys.executable, "-m", "cli", "publish", str(tmp_path / "i"), *given]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    digest = json.loads(ended.stdout)["artifact"]
    wait_until(lambda: trusting.client.get("/tasks/inpaint").status_code == 200)
    assert trusting.infer("inpaint", photo()).headers["x-vtv-artifact"] == digest
    command[-1] = str(ours[1])
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.strip().endswith("makes one")
    assert ended.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_key_that_is_none_ends_the_start_with_one_line(tiny_settings: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "k").write_text("hello")
    server = subprocess.run(
        [sys.executable, "-m", "cli", "serve"],
        env={"PATH": "", "VTV_TRUSTED_KEYS": str(tmp_path / "k"), "VTV_PORT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert server.returncode == 2
    assert "holds no Ed25519 public key" in server.stderr


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    server = S3Server()
    for name, value in environment(server.endpoint).items():
        monkeypatch.setenv(name, value)
    yield ObjectStore(f"s3://{BUCKET}/signed")
    server.stop()


@pytest.mark.slow
def test_object_storage_is_no_exception(
    bucket: ObjectStore, file: bytes, ours: tuple[Path, Path], tmp_path: Path
) -> None:
    bucket.trusted = TrustedKeys([ours[1]])
    published(file, bucket, tmp_path)
    with pytest.raises(ArtifactError, match="the artifact of task identity is not signed"):
        bucket.read_any("identity")
    digest = published(signed(file, ours[0]), bucket, tmp_path)
    assert bucket.read_any("identity").hash == digest
