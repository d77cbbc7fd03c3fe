"""The Python clients against a real server."""

import asyncio
import io
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.support import ServerProcess, image_file, make_artifact, photo, wait_until
from vtv_client import (
    Answer,
    AsyncClient,
    Client,
    InvalidImage,
    InvalidRequest,
    QueueFull,
    TimedOut,
    Unauthorized,
    UnknownJob,
    UnknownTask,
    Unreachable,
)


def pixels(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def connected(server: ServerProcess, **options: Any) -> Client:
    return Client(server.url, http=httpx.Client(trust_env=False), **options)


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with connected(server) as client:
        yield client


@pytest.fixture(scope="module")
def guarded(start_server: Callable[..., ServerProcess], tmp_path_factory: pytest.TempPathFactory) -> ServerProcess:
    """A server with keys, an empty store, and room for one image."""
    store = tmp_path_factory.mktemp("client") / "store"
    return start_server(store=str(store), admin_key="a", api_keys="u", queue_limit="1", codec_processes="1")


def test_the_forms_agree(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo())
    one = client.infer("identity", path, format="webp")
    assert one.media_type == "image/webp"
    assert one.timing_ms.keys() == {"queue", "decode", "compute", "encode"}
    assert one.artifact in {task.artifact for task in client.tasks()}
    many = client.infer_many("identity", [str(path), photo(seed=2)], format="webp")
    assert [(answer.width, answer.height) for answer in many] == [(112, 112), (112, 112)]
    # WebP loses something: one grey level of a batch of two may become nine.
    assert np.abs(pixels(one.image) - pixels(many[0].image)).mean() < 1
    assert np.abs(pixels(many[0].image) - pixels(many[1].image)).mean() > 5
    assert len(client.one_shot(photo(), photo(), [photo(seed=1), photo(seed=2), photo(seed=3)])) == 3


def test_options_are_heeded(client: Client) -> None:
    answer = client.infer("segmentation", photo(64, 48), size="original", refine="none", format="png")
    assert pixels(answer.image).shape == (48, 64, 3)
    with pytest.raises(InvalidRequest, match="size"):
        client.infer("segmentation", photo(), size="huge")  # type: ignore[arg-type]


def test_a_mask_says_where_to_paint(client: Client) -> None:
    picture = np.full((90, 140, 3), 90, np.uint8)
    picture[:, 70:] = 200
    hole = np.zeros_like(picture)
    hole[30:50, 60:90] = 255
    answer = client.infer("inpaint", image_file(picture), mask=image_file(hole), size="original")
    changed = (pixels(answer.image) != picture).any(-1)
    assert changed.any()
    assert not changed[hole[..., 0] == 0].any()
    masks = [image_file(hole), image_file(hole[:, ::-1])]
    for many, mask in zip(
        client.infer_many("inpaint", [image_file(picture)] * 2, masks=masks, size="original"), masks, strict=True
    ):
        assert not (pixels(many.image) != picture).any(-1)[pixels(mask)[..., 0] == 0].any()
    with pytest.raises(InvalidImage, match="mask"):
        client.infer("inpaint", image_file(picture))
    with pytest.raises(InvalidRequest, match="fills no holes"):
        client.infer("identity", image_file(picture), mask=image_file(hole))


def test_masks_in_black_and_white(client: Client) -> None:
    soft = client.infer("segmentation", photo())
    cut = client.infer("segmentation", photo(), threshold="auto")
    assert set(np.unique(pixels(cut.image))) <= {0, 255}
    assert len(np.unique(pixels(soft.image))) > 2
    assert soft.confidence == cut.confidence
    assert soft.confidence is not None
    with pytest.raises(InvalidRequest, match="paints no masks"):
        client.infer("identity", photo(), threshold="auto")


def test_errors_have_types(client: Client) -> None:
    with pytest.raises(UnknownTask) as caught:
        client.infer("nonesuch", photo())
    assert "identity" in caught.value.tasks
    with pytest.raises(InvalidImage):
        client.infer("identity", b"not an image")
    with pytest.raises(Unauthorized, match="VTV_ADMIN_KEY"):
        client.retire("identity")
    with pytest.raises(UnknownTask):
        client.task("nonesuch")


def test_requests_are_found_in_the_log(server: ServerProcess, client: Client) -> None:
    answer = client.infer("identity", photo())
    with pytest.raises(InvalidImage) as caught:
        client.infer("identity", b"not an image")
    for request_id in (answer.request_id, caught.value.request_id):
        assert len(request_id) == 32
        wait_until(lambda request_id=request_id: request_id in server.log, "the log's line")  # type: ignore[misc]


def test_a_call_ends_in_its_time(server: ServerProcess) -> None:
    with connected(server, timeout=0.02) as hurried, pytest.raises(TimedOut):
        hurried.infer("identity", photo(2400, 2000, file_format="PNG"), size="original")


def test_a_server_that_is_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    http = httpx.Client(trust_env=False)
    with Client(address, retries=1, http=http) as client, pytest.raises(Unreachable, match=address):
        client.tasks()


def test_connections_are_reused(server: ServerProcess) -> None:
    opened = 0

    def count(name: str, _: object) -> None:
        nonlocal opened
        opened += name == "connection.connect_tcp.started"

    class Counting(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            request.extensions["trace"] = count
            return super().handle_request(request)

    with Client(server.url, http=httpx.Client(transport=Counting())) as client:
        for _ in range(5):
            client.infer("identity", photo())
    assert opened == 1


def test_many_at_once(server: ServerProcess) -> None:
    async def ask() -> None:
        async with AsyncClient(server.url, http=httpx.AsyncClient(trust_env=False)) as client:
            answers = await asyncio.gather(*(client.infer("identity", photo(seed=seed)) for seed in range(12)))
            again = await client.infer_many("identity", [photo(seed=seed) for seed in range(12)])
            for first, second in zip(answers, again, strict=True):
                assert np.abs(pixels(first.image) - pixels(second.image)).max() <= 1
            assert len(await client.tasks()) == 5
            assert (await client.task("identity")).artifact == answers[0].artifact
            assert len(await client.one_shot(photo(), photo(), [photo(seed=1)])) == 1

    asyncio.run(ask())


def test_streams_of_either_client_agree(server: ServerProcess, client: Client, tmp_path: Path) -> None:
    paths = [tmp_path / f"{seed}.jpg" for seed in range(24)]
    for seed, path in enumerate(paths):
        path.write_bytes(photo(seed=seed))
    paths[7].write_bytes(b"not an image")
    blocking = dict(client.stream("identity", paths, concurrency=5))

    async def ask() -> dict[Path, object]:
        async with AsyncClient(server.url, http=httpx.AsyncClient(trust_env=False)) as client:
            return {path: answer async for path, answer in client.stream("identity", paths, concurrency=5)}

    awaited = asyncio.run(ask())
    assert blocking.keys() == awaited.keys() == set(paths)
    for path in paths:
        first, second = blocking[path], awaited[path]
        if path == paths[7]:
            assert isinstance(first, InvalidImage)
            assert isinstance(second, InvalidImage)
        else:
            assert isinstance(first, Answer)
            assert isinstance(second, Answer)
            assert np.abs(pixels(first.image) - pixels(second.image)).max() <= 1


def test_tasks_come_and_go_with_the_admin_key(
    guarded: ServerProcess, tiny_model: tuple[Path, str], tmp_path: Path
) -> None:
    make_artifact(tmp_path / "file", "inpaint", tiny_model[1], seed=1)
    with connected(guarded, api_key="u", admin_key="a") as client, connected(guarded, api_key="u") as user:
        with pytest.raises(Unauthorized):
            user.install("inpaint", tmp_path / "file")
        made = client.install("inpaint", tmp_path / "file")
        assert made.metric == {"name": "iou", "value": 0.5}
        assert client.task("inpaint") == made
        assert user.infer("inpaint", photo()).artifact == made.artifact
        with connected(guarded) as stranger, pytest.raises(Unauthorized):
            stranger.infer("inpaint", photo())
        client.retire("inpaint")
        assert client.tasks() == []


@pytest.mark.slow
def test_teaching_is_a_job_of_the_server(guarded: ServerProcess) -> None:
    pictures = [photo(seed=seed) for seed in range(4)]
    with connected(guarded, admin_key="a") as client:
        job = client.teach("taught", pictures[:2], pictures[2:], force=True)
        assert job.id in [one.id for one in client.jobs()]
        job = client.wait(job, every=0.1)
        assert (job.state, job.error) == ("done", None)
        assert client.task("taught").artifact == job.artifact
        client.retire("taught")
        client.cancel(job.id)
        with pytest.raises(UnknownJob):
            client.job(job.id)


def test_a_full_queue_is_tried_again(guarded: ServerProcess, tiny_model: tuple[Path, str], tmp_path: Path) -> None:
    make_artifact(tmp_path / "file", "identity", tiny_model[1], seed=1)
    slow = photo(2400, 2000, file_format="PNG")
    with connected(guarded, admin_key="a") as client, ThreadPoolExecutor(1) as pool:
        client.install("identity", tmp_path / "file")
        occupied = pool.submit(client.infer, "identity", slow, size="original")
        wait_until(lambda: guarded.metric("vtv_queue_depth") == 1, "a full queue")
        with connected(guarded, api_key="u", retries=0) as hasty, pytest.raises(QueueFull):
            hasty.infer("identity", photo())
        assert client.infer("identity", photo()).image
        assert occupied.result().image
    assert guarded.metric("vtv_requests_total", code="429") >= 1
