"""The Python clients against a real server."""

import asyncio
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from artifacts.store.folder import Store
from tests.support import ServerProcess, make_artifact, photo, wait_until
from vtv_client.client import AsyncVTVClient, VTVClient
from vtv_client.errors import InvalidImage, QueueFull, Unauthorized, UnknownTask


def pixels(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


@pytest.fixture
def client(server: ServerProcess) -> Iterator[VTVClient]:
    with VTVClient(server.url, http=httpx.Client(trust_env=False)) as client:
        yield client


def test_the_forms_agree(client: VTVClient, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo())
    one = client.infer("identity", path, format="webp")
    assert one.media_type == "image/webp"
    assert one.timing_ms.keys() == {"queue", "decode", "compute", "encode"}
    assert one.artifact in {task.artifact for task in client.tasks()}
    many = client.infer_many("identity", [photo(), photo(seed=2)], format="webp")
    assert len(many) == 2
    assert np.abs(pixels(many[0].image) - pixels(many[1].image)).max() > 1
    assert len(client.one_shot((photo(), photo()), [photo(seed=1), photo(seed=2), photo(seed=3)])) == 3


def test_errors_have_types(client: VTVClient) -> None:
    with pytest.raises(UnknownTask) as caught:
        client.infer("nonesuch", photo())
    assert "identity" in caught.value.tasks
    with pytest.raises(InvalidImage):
        client.infer("identity", b"not an image")
    with pytest.raises(Unauthorized, match="VTV_ADMIN_KEY"):
        client.retire("identity")


def test_connections_are_reused(server: ServerProcess) -> None:
    opened = 0

    def count(name: str, _: object) -> None:
        nonlocal opened
        opened += name == "connection.connect_tcp.started"

    class Counting(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            request.extensions["trace"] = count
            return super().handle_request(request)

    with VTVClient(server.url, http=httpx.Client(transport=Counting())) as client:
        for _ in range(5):
            client.infer("identity", photo())
    assert opened == 1


def test_many_at_once(server: ServerProcess) -> None:
    async def ask() -> None:
        async with AsyncVTVClient(server.url, http=httpx.AsyncClient(trust_env=False)) as client:
            answers = await asyncio.gather(*(client.infer("identity", photo(seed=seed)) for seed in range(12)))
            again = await client.infer_many("identity", [photo(seed=seed) for seed in range(12)])
            for first, second in zip(answers, again, strict=True):
                assert np.abs(pixels(first.image) - pixels(second.image)).max() <= 1
            assert len(await client.tasks()) == 5

    asyncio.run(ask())


def test_a_full_queue_is_tried_again(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(queue_limit="1", codec_processes="1")
    slow = photo(2400, 2000, file_format="PNG")
    with VTVClient(server.url, http=httpx.Client(trust_env=False)) as client, ThreadPoolExecutor(1) as pool:
        occupied = pool.submit(client.infer, "identity", slow, size="original")
        wait_until(lambda: server.metric("vtv_queue_depth") == 1, "a full queue")
        with (
            VTVClient(server.url, retries=0, http=httpx.Client(trust_env=False)) as hasty,
            pytest.raises(QueueFull),
        ):
            hasty.infer("identity", photo())
        assert client.infer("identity", photo()).image
        assert occupied.result().image
    assert server.metric("vtv_requests_total", code="429") >= 1


def test_tasks_come_and_go(
    start_server: Callable[..., ServerProcess], tiny_model: tuple[Path, str], tmp_path: Path
) -> None:
    make_artifact(tmp_path / "file", "inpaint", tiny_model[1], seed=1)
    server = start_server(store=str(tmp_path / "store"), admin_key="k")
    with VTVClient(server.url, key="k", http=httpx.Client(trust_env=False)) as client:
        made = client.install("inpaint", tmp_path / "file")
        assert made.artifact == Store(tmp_path / "store").hash_of("inpaint")
        assert client.infer("inpaint", photo()).artifact == made.artifact
        client.retire("inpaint")
        assert client.tasks() == []
