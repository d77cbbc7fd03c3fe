"""vtv_client as a package: light to import, at one with the server's own names, and its answers as files."""

import io
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from PIL import Image

from service.errors import ClientClosed, ServiceError
from service.pipeline.call import Options as ServedOptions
from service.tasks.task_info import TaskInfo
from vtv_client import Answer, Options, Task
from vtv_client.errors import BY_CODE

PACKAGE = Path(__file__).parents[2] / "clients" / "python"
HEAVY = {"torch", "numpy", "pydantic", "fastapi", "starlette", "cv2", "PIL", "engine", "artifacts", "service"}


def answer(image: bytes) -> Answer:
    return Answer(image, "image/png", 3, 2, None, None, "q", {})


def test_importing_it_loads_nothing_heavy() -> None:
    shown = "import sys, vtv_client; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", shown], cwd=PACKAGE, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"vtv_client", "httpx"} <= loaded
    assert not loaded & HEAVY


def test_it_depends_on_httpx_alone() -> None:
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    assert [name.partition(">")[0] for name in project["dependencies"]] == ["httpx"]


def test_its_words_are_the_servers() -> None:
    codes = {ServiceError.code} | {error.code for error in ServiceError.__subclasses__()}
    assert BY_CODE.keys() | {ClientClosed.code} == codes
    served: dict[str, Any] = {name: field.annotation for name, field in ServedOptions.model_fields.items()}
    offered = get_type_hints(Options)
    assert offered.keys() >= served.keys() - {"task", "top_k"}
    for name in offered.keys() & served.keys():
        choices = get_args(offered[name])
        assert {word for choice in choices for word in get_args(choice)} == set(get_args(served[name]))
    assert set(Task.__annotations__) == set(TaskInfo.model_fields)


def test_an_answer_is_a_file(tmp_path: Path) -> None:
    written = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(written, "PNG")
    one = answer(written.getvalue())
    one.save(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == one.image
    assert one.pil().getpixel((2, 1)) == (255, 0, 0)
    assert "PNG" not in repr(one)


def test_without_pillow_there_is_no_pillow_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="pip install pillow"):
        answer(b"").pil()
