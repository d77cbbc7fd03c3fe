"""A browser, the page in it at two widths, and what is asked of it."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support import ANSWERS, PATIENCE, ServerProcess
from tests.tools import CHROMIUM

WIDTHS = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
KEY = "open-sesame"
one_width = pytest.mark.parametrize("context", ["desktop"], indirect=True)
"""For what has nothing to do with a screen's width."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(params=WIDTHS)
def context(browser: Browser, request: pytest.FixtureRequest) -> Iterator[BrowserContext]:
    phone = request.param == "phone"
    context = browser.new_context(viewport=WIDTHS[request.param], is_mobile=phone, has_touch=phone)
    context.set_default_timeout(PATIENCE * 1000)
    expect.set_options(timeout=PATIENCE * 1000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, server: ServerProcess) -> Iterator[Page]:
    """The page, ready; it must ask nobody but the server, and nothing may go wrong in it."""
    asked: list[str] = []
    wrong: list[str] = []
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if "Security Policy" in message.text else None)
    visit(page, server)
    yield page
    assert all(url.startswith((server.url, "blob:")) for url in asked)
    assert not wrong


def visit(page: Page, server: ServerProcess, tasks: int = len(ANSWERS)) -> None:
    page.goto(server.url)
    expect(page.locator("#status")).to_have_text("Ready")
    expect(page.locator("#tasks input")).to_have_count(tasks)


def card(page: Page, title: str) -> Any:
    return page.locator(".answer").filter(has=page.get_by_role("heading", name=title, exact=True))


def shown(page: Page, title: str) -> bytes:
    """The file that a card shows, as its link saves it."""
    expect(card(page, title).get_by_role("img")).to_be_visible()
    with page.expect_download() as saving:
        card(page, title).get_by_role("link").click()
    return Path(saving.value.path()).read_bytes()


def distance(a: bytes, b: bytes) -> float:
    """Mean difference of two pictures, 0 to 255. Batches of another size may differ in the last bit."""
    one, other = (np.asarray(Image.open(io.BytesIO(file)).convert("RGB")).astype(float) for file in (a, b))
    return float(np.abs(one - other).mean())


def asked(server: ServerProcess, task: str, image: bytes) -> bytes:
    """What the page gets when nothing is changed on it."""
    threshold = {"threshold": "auto"} if task == "segmentation" else {}
    return server.infer(task, image, size="original", **threshold).content


def sample(server: ServerProcess, name: str) -> bytes:
    return server.client.get(f"/static/samples/{name}").content


def check_barriers(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
