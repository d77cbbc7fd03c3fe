"""One S3 server for all these tests, and a faulty proxy before it for each."""

from collections.abc import Iterator

import pytest

from artifacts import objects
from artifacts.store.objects import ObjectStore
from tests.object_storage.faults import FaultyProxy
from tests.object_storage.s3_server import BUCKET, S3Server, environment

URL = f"s3://{BUCKET}/some/prefix"


@pytest.fixture(scope="session")
def running_s3() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def s3(running_s3: S3Server) -> S3Server:
    """An empty bucket."""
    running_s3.wipe()
    return running_s3


@pytest.fixture
def proxy(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """What stores speak to from now on, without patience."""
    faulty = FaultyProxy(s3.port)
    for name, value in environment(faulty.endpoint).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(objects, "_CLIENT", objects._CLIENT | {"timeout": "1s"})
    yield faulty
    faulty.stop()


@pytest.fixture
def store(proxy: FaultyProxy) -> ObjectStore:
    return ObjectStore(URL)
