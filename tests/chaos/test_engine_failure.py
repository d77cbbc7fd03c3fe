"""An engine that raises while it serves: a real application on a real socket, a real engine that is made to fail."""

import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
import uvicorn

from artifacts.store.folder import Store
from engine.geometry import Pixels
from engine.plan import EnginePlan
from engine.program import ProgramName
from engine.runner import Done, Pending, Progress
from engine.runtime import Engine
from service.app import create_app
from service.server import DrainingServer
from service.settings import Settings
from tests.support import PATIENCE, photo, wait_until


class Device:
    """What the engines of a test compute on."""

    def __init__(self) -> None:
        self.broken = self.constant = False
        self.error: type[BaseException] = RuntimeError
        """A class: an exception that is kept keeps its traceback's frames, and with them the engine."""
        self.built = 0


class FailingEngine(Engine):
    """Raises as long as its device is broken."""

    device_state: Device

    def submit(self, program: ProgramName, pixels: Pixels, slots: Sequence[int] = ()) -> Pending:
        if self.device_state.broken:
            raise self.device_state.error("secret detail: the device fell off the bus")
        if self.device_state.constant:
            return Done(np.full((len(pixels), 111, 111, 3), 7, np.uint8))
        return super().submit(program, pixels, slots)

    def warm_up(self) -> None:
        if self.device_state.broken:
            raise RuntimeError("the device is still gone")
        super().warm_up()


class Served:
    """The application in a thread, and a client."""

    def __init__(self, model: Path, store: Path) -> None:
        self.device = Device()
        self._model = model
        settings = Settings(model=model, store=store, device="cpu")
        self.engines: list[weakref.ref[Engine]] = []
        plan = EnginePlan(model, slots=3, buckets=(1, 2))
        app = create_app(plan, self.build, Store(store), settings)
        self.pipeline = app.state.pipeline
        self.server = DrainingServer(uvicorn.Config(app, port=0, log_config=None), self.pipeline, 5)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        wait_until(lambda: self.server.started, "listening")
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE)
        self.wait_ready()

    def build(self, progress: Progress) -> Engine:
        assert [engine() for engine in self.engines] == [None] * self.device.built, "a failed engine is still held"
        self.device.built += 1
        engine = FailingEngine.load(self._model, slots=3, buckets=(1, 2), device="cpu", backend="eager")
        engine.device_state = self.device
        self.engines.append(weakref.ref(engine))
        return engine

    def wait_ready(self) -> None:
        wait_until(lambda: self.client.get("/readyz").status_code == 200, "readiness")

    def ask(self, task: str = "identity") -> httpx.Response:
        headers = {"Content-Type": "image/jpeg"}
        return self.client.post("/infer", params={"task": task}, content=photo(), headers=headers)

    def sample(self, name: str) -> float:
        lines = self.client.get("/metrics").text.splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))

    def stop(self) -> None:
        self.client.close()
        self.server.should_exit = True
        self.thread.join()


@pytest.fixture
def served(tiny_model: tuple[Path, str], tiny_store: Path) -> Iterator[Served]:
    served = Served(tiny_model[0], tiny_store)
    yield served
    served.stop()


def test_the_engine_is_replaced_and_answers_are_what_they_were(served: Served) -> None:
    tasks = ["identity", "segmentation"]
    before = [served.ask(task).content for task in tasks]
    assert served.sample("vtv_engine_restarts_total") == 0

    served.device.broken = True
    failed = served.ask()
    assert (failed.status_code, failed.json()["code"]) == (500, "internal")
    assert "secret" not in failed.text
    assert served.client.get("/readyz").status_code == 503
    assert served.sample("vtv_engine_ready") == 0
    assert served.client.get("/healthz").status_code == 200
    refused = served.ask()
    assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")

    served.device.broken = False
    served.wait_ready()
    assert [served.ask(task).content for task in tasks] == before
    assert served.sample("vtv_engine_restarts_total") == served.device.built - 1 > 0
    assert served.sample("vtv_queue_depth") == 0


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, MemoryError])
def test_whatever_ends_the_engines_thread_it_is_replaced(served: Served, error: type[BaseException]) -> None:
    before = served.ask().content
    served.device.error, served.device.broken = error, True
    assert served.ask().status_code == 500
    wait_until(lambda: served.client.get("/readyz").status_code == 503)
    served.device.broken = False
    served.wait_ready()
    assert served.ask().content == before


def test_one_colour_is_no_answer_unless_the_picture_has_one(served: Served) -> None:
    before = served.ask().content
    served.device.constant = True
    failed = served.ask()
    assert (failed.status_code, failed.json()["code"]) == (500, "internal")
    assert served.sample("vtv_bad_answers_total") == 1
    served.device.constant = False
    assert served.ask().content == before
    served.device.constant = True
    flat = np.full((64, 64, 3), 90, np.uint8)
    headers = {"Content-Type": "image/png"}
    content = cv2.imencode(".png", flat)[1].tobytes()
    assert served.client.post("/infer?task=identity", content=content, headers=headers).status_code == 200
    assert served.sample("vtv_bad_answers_total") == 1


def test_a_process_whose_engine_cannot_be_helped_ends(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that whatever watches it starts another."""
    monkeypatch.setattr(served.pipeline.supervisor, "_delays", (0.0,))
    served.device.broken = True
    assert served.ask().status_code == 500
    served.thread.join(PATIENCE)
    assert not served.thread.is_alive()
    assert served.server.stopped_by is None
