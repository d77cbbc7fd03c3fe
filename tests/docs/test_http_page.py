"""docs/http.md: every command on it, in its order, against a real server."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.towers.folder import read_fingerprint
from tests.docs.examples import DOCS, Example, assert_like, examples, run
from tests.support import ServerProcess, image_file, make_artifact, make_residual, photo

PAGE = examples(DOCS / "http.md")
ADMIN_KEY = "an admin key of this test"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_model: tuple[Path, str], tower_folder: Path) -> Path:
    """The files that the page's commands name."""
    directory = tmp_path_factory.mktemp("http-page")
    (directory / "photo.jpg").write_bytes(photo(320, 240))
    mask = np.zeros((240, 320), np.uint8)
    mask[60:120, 100:200] = 255
    (directory / "mask.png").write_bytes(image_file(mask))
    (directory / "second.jpg").write_bytes(photo(200, 300, seed=1))
    (directory / "example_input.png").write_bytes(photo(64, 64, seed=2, file_format="PNG"))
    (directory / "example_output.png").write_bytes(photo(64, 64, seed=3, file_format="PNG"))
    make_artifact(directory / "segmentation.safetensors", "segmentation", tiny_model[1], seed=9)
    make_residual(directory / "animals.safetensors", "animals", read_fingerprint(tower_folder), seed=1, classes=3)
    return directory


@pytest.fixture(scope="module")
def own_server(
    start_server: Callable[..., ServerProcess],
    tmp_path_factory: pytest.TempPathFactory,
    tiny_store: Path,
    tower_folder: Path,
) -> ServerProcess:
    """A server whose tasks may be changed, on a store of its own."""
    store = tmp_path_factory.mktemp("store") / "store"
    shutil.copytree(tiny_store, store)
    return start_server(store=str(store), admin_key=ADMIN_KEY, tower=str(tower_folder), tower_buckets="1")


@pytest.mark.needs("curl")
@pytest.mark.parametrize("example", PAGE, ids=range(len(PAGE)))
def test_an_example_does_what_the_page_says(example: Example, folder: Path, own_server: ServerProcess) -> None:
    command = example.command.replace("http://localhost:8000", own_server.url)
    printed = run(command, folder, PATH=os.environ["PATH"], VTV_ADMIN_KEY=ADMIN_KEY)
    if example.reply is not None:
        assert_like(example.reply, json.loads(printed))


def test_every_problem_that_a_server_may_answer_is_on_the_page() -> None:
    from service.errors import ServiceError

    def kinds(base: type[ServiceError]) -> list[type[ServiceError]]:
        return [base, *(kind for child in base.__subclasses__() for kind in kinds(child))]

    text = (DOCS / "http.md").read_text()
    missing = [error.code for error in kinds(ServiceError) if f"`{error.code}`" not in text]
    assert missing == ["client_closed"]  # for the log and the metrics alone
