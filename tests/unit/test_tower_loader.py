"""The image tower of a running engine: for the first classification task, for every engine after it, and not before."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from weakref import ref

import pytest

from engine.classification.head import Head
from engine.errors import EngineError
from service.batching.tower import TowerLoader
from service.errors import ServiceError
from service.tasks.fit import Fit


class Plan:
    """Builds towers that can be told apart."""

    def __init__(self) -> None:
        self.built: list[SimpleNamespace] = []
        self.fails = False

    def build(self, progress: Callable[[str], None]) -> Any:
        if self.fails:
            raise EngineError("the weights are damaged")
        progress("reading the image tower")
        self.built.append(SimpleNamespace(warm=False, warm_up=lambda: setattr(self.built[-1], "warm", True)))
        return self.built[-1]


class Engine:
    classifier: Any = None


def loader_of(plan: Plan) -> TowerLoader:
    return TowerLoader(plan)  # type: ignore[arg-type]


def test_nothing_is_loaded_until_it_is_needed_and_then_once() -> None:
    plan, engine = Plan(), Engine()
    loader = loader_of(plan)
    loader.fit_out(engine, lambda line: None)  # type: ignore[arg-type]
    assert engine.classifier is None
    threads = [threading.Thread(target=loader.need) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert plan.built == [engine.classifier]
    assert engine.classifier.warm


def test_what_is_needed_before_there_is_an_engine_is_built_with_it() -> None:
    plan, engine, told = Plan(), Engine(), list[str]()
    loader = loader_of(plan)
    loader.need()
    assert plan.built == []
    loader.fit_out(engine, told.append)  # type: ignore[arg-type]
    assert plan.built == [engine.classifier]
    assert told == ["reading the image tower"]


def test_an_engine_that_replaces_another_has_a_tower_of_its_own_and_the_first_is_gone() -> None:
    plan = Plan()
    loader = loader_of(plan)
    loader.need()
    first = Engine()
    loader.fit_out(first, lambda line: None)  # type: ignore[arg-type]
    plan.built.clear()
    held = ref(first)
    del first
    assert held() is None
    loader.need()  # while there is none
    second = Engine()
    loader.fit_out(second, lambda line: None)  # type: ignore[arg-type]
    assert plan.built == [second.classifier]


def test_a_tower_that_cannot_be_loaded_refuses_the_task_and_may_be_tried_again() -> None:
    plan, engine = Plan(), Engine()
    about = SimpleNamespace(tower=plan)
    fit = Fit(about)  # type: ignore[arg-type]
    assert fit.tower is not None
    fit.tower.fit_out(engine, lambda line: None)  # type: ignore[arg-type]
    head = Head.__new__(Head)
    plan.fails = True
    with pytest.raises(ServiceError, match="could not be loaded"):
        fit.prepare(head)
    assert engine.classifier is None
    plan.fails = False
    fit.prepare(head)
    assert engine.classifier is not None
