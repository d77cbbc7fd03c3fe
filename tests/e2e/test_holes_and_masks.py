"""Holes to fill by mask or found, and masks in black and white, in every form of request."""

import base64
import io
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.support import ServerProcess, image_file

HEIGHT, WIDTH = 90, 140


def pixels(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def picture(seed: int = 0) -> np.ndarray:
    """Noise without anything black."""
    return np.random.default_rng(seed).integers(60, 250, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def disc(row: int = 40) -> np.ndarray:
    """Where to paint: bool [HEIGHT,WIDTH]."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (rows - row) ** 2 + (columns - 70) ** 2 < 300


def mask_of(inside: np.ndarray) -> np.ndarray:
    return np.repeat(inside[..., None], 3, 2).astype(np.uint8) * 255


def form(server: ServerProcess, images: list[bytes], masks: list[bytes], **fields: str) -> httpx.Response:
    files = [("image", ("i", data)) for data in images] + [("mask", ("m", data)) for data in masks]
    return server.client.post("/infer", data=fields, files=files, headers={"accept": "application/json"})


def as_json(server: ServerProcess, images: list[bytes], masks: list[bytes], **fields: str) -> httpx.Response:
    texts = [[base64.b64encode(data).decode() for data in files] for files in (images, masks)]
    return server.client.post("/infer", json={"images": texts[0], "masks": texts[1], **fields})


def tensors(server: ServerProcess, images: list[bytes], masks: list[bytes], **fields: str) -> httpx.Response:
    inputs = [
        {
            "name": name,
            "datatype": "BYTES",
            "shape": [len(files)],
            "data": [base64.b64encode(data).decode() for data in files],
        }
        for name, files in (("image", images), ("mask", masks))
        if files
    ]
    task = fields.pop("task")
    return server.client.post(f"/v2/models/{task}/infer", json={"inputs": inputs, "parameters": fields})


def answers(reply: httpx.Response) -> list[Any]:
    assert reply.status_code == 200, reply.text
    texts = [o["image"] if "image" in o else o["data"] for o in reply.json()["outputs"]]
    return [pixels(base64.b64decode(text)) for text in (texts if isinstance(texts[0], str) else texts[0])]


FORMS = pytest.mark.parametrize("send", [form, as_json, tensors])


@FORMS
def test_each_image_is_painted_where_its_mask_is_white(server: ServerProcess, send: Any) -> None:
    before, holes = [picture(1), picture(2)], [disc(30), disc(50)]
    images, masks = [[image_file(p) for p in group] for group in (before, map(mask_of, holes))]
    after = answers(send(server, images, masks, task="inpaint", size="original", format="png"))
    for first, last, hole in zip(before, after, holes, strict=True):
        np.testing.assert_array_equal(last[~hole], first[~hole])
        assert (last[hole] != first[hole]).mean() > 0.5


def test_pixels_and_their_mask_follow_each_other(server: ServerProcess) -> None:
    raw = b"".join(a.tobytes() for a in (picture(), mask_of(disc())))
    one = {"datatype": "UINT8", "shape": [1, HEIGHT, WIDTH, 3], "parameters": {"binary_data_size": len(raw) // 2}}
    head = httpx.Request("POST", "http://x", json={"inputs": [{"name": name, **one} for name in ("image", "mask")]})
    length = {"Inference-Header-Content-Length": str(len(head.content))}
    reply = server.client.post("/v2/models/inpaint/infer", content=head.content + raw, headers=length)
    assert reply.status_code == 200, reply.text
    answer = np.array(reply.json()["outputs"][0]["data"]).reshape(112, 112, 3)
    wanted = answers(form(server, [image_file(picture())], [image_file(mask_of(disc()))], task="inpaint"))[0]
    assert np.abs(answer - wanted.astype(int)).max() <= 1
    short = server.client.post("/v2/models/inpaint/infer", content=head.content + raw[:-1], headers=length)
    assert (short.status_code, short.json()["code"]) == (400, "invalid_request")


def test_a_black_region_needs_no_mask_and_leaves_no_frame(server: ServerProcess) -> None:
    holed = picture() * ~disc()[..., None]
    for size in ("native", "original"):
        answer = pixels(server.infer("inpaint", image_file(holed), size=size).content)
        assert answer.max(-1).min() > 25


@FORMS
def test_nothing_to_fill_names_the_mask(server: ServerProcess, send: Any) -> None:
    image = image_file(picture())
    for masks in ([], [image_file(mask_of(disc())[1:])], [image_file(mask_of(disc()) * 0)]):
        reply = send(server, [image], masks, task="inpaint")
        assert (reply.status_code, reply.json()["code"]) == (422, "invalid_image")
        assert "mask" in reply.json()["detail"]
    reply = send(server, [image], [b"no picture"], task="inpaint")
    assert reply.status_code == 422


@FORMS
def test_masks_are_for_holes_and_one_for_each_image(server: ServerProcess, send: Any) -> None:
    image, mask = image_file(picture()), image_file(mask_of(disc()))
    for task, images, masks in (("identity", [image], [mask]), ("inpaint", [image, image], [mask])):
        reply = send(server, images, masks, task=task)
        assert (reply.status_code, reply.json()["code"]) == (400, "invalid_request")
        assert reply.json()["detail"].startswith("mask: ")


@FORMS
def test_a_threshold_makes_masks_black_and_white(server: ServerProcess, send: Any) -> None:
    image = [image_file(picture())]
    soft = answers(send(server, image, [], task="segmentation", threshold="none"))[0]
    hard = answers(send(server, image, [], task="segmentation", threshold="auto"))[0]
    assert len(np.unique(soft)) > 2
    assert np.unique(hard).tolist() == [0, 255]
    white = hard[..., 0] > 0
    assert soft[white].mean() > soft[~white].mean()
    raw = server.infer("segmentation", image[0], threshold="auto")
    assert np.abs(pixels(raw.content).astype(int) - hard).mean() < 1
    refused = send(server, image, [], task="identity", threshold="auto")
    assert (refused.status_code, refused.json()["detail"]) == (400, "threshold: this task paints no masks.")
