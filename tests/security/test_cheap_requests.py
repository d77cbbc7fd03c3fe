"""What costs its client next to nothing: the server looks at a limit before it does the work."""

import asyncio
import base64
import json

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.codec.codec import EncodedAnswer
from service.errors import InvalidImage
from service.http.base64_text import decoded_files
from service.http.calls import InferCall
from service.http.paced_text import PacedText
from service.http.replies import prefers_image, reply
from service.http.routes.page import page_routes
from service.http.schemas import InferReply
from service.oip.schemas import TensorRequest
from service.pipeline.call import Options, Painted
from service.telemetry.timing import Timing
from tests.support import Files, ServerProcess, photo, wait_until

JPEG = {"Content-Type": "image/jpeg"}


def told(server: ServerProcess, address: str, **request: object) -> tuple[int, str, str]:
    """A refusal's status, code and detail."""
    problem = server.client.post(address, **request).json()  # type: ignore[arg-type]
    return problem["status"], problem["code"], problem["detail"]


@pytest.mark.parametrize("address", ["/healthz", "/tasks", "/openapi.json", "/infer", "/v2"])
def test_an_address_has_a_hundred_parameters_at_most(server: ServerProcess, address: str) -> None:
    parameters = [f"p{number}=" for number in range(101)]
    refused = server.client.get(f"{address}?{'&'.join(parameters)}")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    assert "parameters" in refused.json()["detail"]
    assert server.client.get(f"/healthz?{'&'.join(parameters[:100])}").status_code == 200


def test_nothing_is_looked_for_at_an_address_of_thousands_of_characters(server: ServerProcess) -> None:
    for start in ("/static/", "/v2/models/", "/tasks/"):
        reply = server.client.get(start + "a" * 1100)
        assert (reply.status_code, reply.json()["code"]) == (404, "not_found")
    assert server.client.get("/tasks/" + "a" * 500).json()["code"] == "unknown_task"


def test_the_log_holds_the_beginning_of_an_address(server: ServerProcess) -> None:
    server.client.get("/beginning" + "x" * 5000)
    wait_until(lambda: "GET /beginningx" in server.log)
    assert "x" * 1000 in server.log
    assert "x" * 1100 not in server.log


def test_a_parameter_given_twice_is_refused_by_its_name(server: ServerProcess) -> None:
    for twice in ("task=identity&task=identity", "task=identity&format=png&format=webp"):
        status, code, detail = told(server, f"/infer?{twice}", content=photo(), headers=JPEG)
        assert (status, code) == (400, "invalid_request")
        assert detail == f"{twice.rpartition('&')[2].partition('=')[0]}: Given more than once."


def test_a_form_of_more_parts_than_a_request_has_use_for_is_not_taken_apart(server: ServerProcess) -> None:
    for files, fields in ((67, 1), (1, 33)):
        parts: Files = [("image", (str(number), b"", "image/jpeg")) for number in range(files)]
        names = {f"n{number}": "" for number in range(fields)}
        status, code, detail = told(server, "/infer", data=names, files=parts)
        assert (status, code) == (400, "invalid_request")
        assert "more than 66 files or 32 fields" in detail


def test_a_form_with_as_many_masks_as_images_is_answered(server: ServerProcess) -> None:
    parts: Files = [(name, ("f", photo(), "image/jpeg")) for name in ("image", "mask") for _ in range(32)]
    reply = server.client.post("/infer", data={"task": "inpaint", "size": "native", "format": "png"}, files=parts)
    assert len(reply.json()["outputs"]) == 32


def test_a_media_type_of_thousands_of_parameters_is_not_taken_apart(server: ServerProcess) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x" + ";a=b" * 1000}
    status, code, detail = told(server, "/infer", content=b"--x--", headers=headers)
    assert (status, code) == (400, "invalid_request")
    assert detail.startswith("The Content-Type header is longer")


def test_an_accept_header_without_end_has_no_preference() -> None:
    assert not prefers_image("application/json," * 100)
    assert prefers_image("application/json," * 1000)


def test_large_answers_become_json_in_pieces() -> None:
    """And are what the library makes of them."""
    files = [b"", b"a", bytes(range(256)) * 3000, b"xyz" * 65536]
    answers = [EncodedAnswer(file, 3, 2, 0.5) for file in files]
    call = InferCall(Options(task="identity"), [b""] * 4, form="json")
    told = reply(call, "", Painted(answers, Timing(), None), "model").body
    outputs = json.loads(bytes(told))["outputs"]
    assert [base64.b64decode(output["image"], validate=True) for output in outputs] == files
    assert InferReply.model_validate_json(bytes(told)).model_dump_json().encode() == told


def test_only_the_first_wrong_value_of_a_list_is_complained_about() -> None:
    for wrong in (
        {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [""] * 1000}]},
        {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1]}], "outputs": [{"name": 1}] * 1000},
        {"inputs": [1] * 1000},
    ):
        with pytest.raises(ValueError, match="1 validation error"):
            TensorRequest.model_validate(wrong)


@pytest.mark.parametrize("text", ["data:image/png;base64,%2B%2f%2B%2F", "-_-_", "+/\n+/", " +/+/", "+/-_"])
def test_base64_as_it_is_written(text: str) -> None:
    assert decoded_files([text], "An image") == [base64.b64decode("+/+/")]


@pytest.mark.parametrize("text", ["é", "A", "+/+/%2B", "data:image/png,AAAA", "AAAA!"])
def test_what_is_no_base64(text: str) -> None:
    with pytest.raises(InvalidImage):
        decoded_files([text], "An image")


def test_who_asks_for_metrics_together_gets_one_text_and_who_asks_later_a_newer_one() -> None:
    made: list[int] = []

    def make() -> bytes:
        made.append(len(made))
        return b"%d" % made[-1]

    async def ask() -> tuple[list[bytes], bytes]:
        text = PacedText(make)
        return await asyncio.gather(*(text.get() for _ in range(50))), await text.get()

    together, later = asyncio.run(ask())
    assert together == [b"0"] * 50
    assert later == b"1"


def test_metrics_tell_what_was_answered_before(server: ServerProcess) -> None:
    for _ in range(20):
        before = server.metric("vtv_requests_total", task="identity", code="200")
        assert server.infer("identity", photo()).status_code == 200
        assert server.metric("vtv_requests_total", task="identity", code="200") == before + 1


def test_the_description_is_made_once() -> None:
    made: list[dict[str, str]] = []

    def describe() -> dict[str, str]:
        made.append({"made": str(len(made))})
        return made[-1]

    app = FastAPI(openapi_url=None)
    app.include_router(page_routes(describe))
    with TestClient(app) as client, TestClient(app, root_path="/prefix") as beyond:
        assert [client.get("/openapi.json").json() for _ in range(3)] == [{"made": "0"}] * 3
        assert [beyond.get("/prefix/openapi.json").json() for _ in range(3)] == [
            {"made": "1", "servers": [{"url": "/prefix"}]}
        ] * 3
    assert len(made) == 2
