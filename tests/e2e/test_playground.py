"""The playground in a real browser, with a real server behind it."""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support import ANSWERS, PATIENCE, ServerProcess, photo
from tests.tools import CHROMIUM

pytestmark = pytest.mark.needs("chromium")
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


def visit(page: Page, server: ServerProcess) -> None:
    page.goto(server.url)
    expect(page.locator("#status")).to_have_text("Ready")
    expect(page.locator("#tasks input")).to_have_count(len(ANSWERS))


def card(page: Page, title: str) -> Any:
    return page.locator(".answer").filter(has=page.get_by_role("heading", name=title, exact=True))


def shown(page: Page, title: str) -> bytes:
    """The file that a card shows, as its link saves it."""
    expect(card(page, title).locator("img")).to_be_visible()
    with page.expect_download() as saving:
        card(page, title).get_by_role("link").click()
    return Path(saving.value.path()).read_bytes()


def distance(a: bytes, b: bytes) -> float:
    """Mean difference of two pictures, 0 to 255. Batches of another size may differ in the last bit."""
    one, other = (np.asarray(Image.open(io.BytesIO(file)).convert("RGB")).astype(float) for file in (a, b))
    return float(np.abs(one - other).mean())


def sample(server: ServerProcess, name: str) -> bytes:
    return server.client.get(f"/static/samples/{name}").content


def test_several_tasks_side_by_side_with_their_times(page: Page, server: ServerProcess) -> None:
    for task in ("identity", "lowlight enhance"):
        page.get_by_role("checkbox", name=task).check()
    page.get_by_role("button", name="Rabbit").click()
    for task in ("identity", "lowlight_enhance", "segmentation"):
        answer = shown(page, task.replace("_", " "))
        assert distance(answer, server.infer(task, sample(server, "rabbit.jpg"), size="original").content) < 0.2
        expect(card(page, task.replace("_", " ")).locator(".time")).to_have_text(re.compile(r"^[\d.]+ ms$"))
        stages = card(page, task.replace("_", " ")).locator("dt").all_inner_texts()
        assert stages == ["decode", "queue", "compute", "encode"]
    assert page.locator(".answer h3").all_inner_texts() == ["Picture", "Identity", "Lowlight Enhance", "Segmentation"]
    expect(page.get_by_role("status").filter(has_text="Answered")).to_contain_text("segmentation in")

    page.get_by_role("checkbox", name="identity").uncheck()
    expect(card(page, "identity")).to_have_count(0)
    page.get_by_role("radio", name="112 px").check()
    expect(page.locator(".busy")).to_have_count(0)
    assert Image.open(io.BytesIO(shown(page, "segmentation"))).size == (112, 112)


@one_width
def test_a_sample_brings_its_task(page: Page) -> None:
    page.get_by_role("button", name="Dark gull").click()
    expect(page.get_by_role("checkbox", name="lowlight enhance")).to_be_checked()
    shown(page, "lowlight enhance")


@pytest.mark.slow
@one_width
def test_the_last_picture_wins(page: Page, server: ServerProcess) -> None:
    for name in ("Rabbit", "Hole", "Gray violin"):
        page.get_by_role("button", name=name).click()
    expect(page.get_by_role("button", name="Gray violin")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".busy")).to_have_count(0)
    answer = shown(page, "segmentation")
    names = ("rabbit.jpg", "flower-hole.jpg", "violin-gray.jpg")
    alone = [server.infer("segmentation", sample(server, name), size="original").content for name in names]
    distances = [distance(answer, other) for other in alone]
    assert distances.index(min(distances)) == 2


def test_an_example_pair_in_place_of_a_task(page: Page, server: ServerProcess) -> None:
    page.get_by_role("button", name="Rabbit").click()
    page.get_by_role("tab", name="By example").click()
    expect(page.locator("#hint")).to_have_text("Give an example input and an example output.")
    page.get_by_role("button", name="Use a sample pair").click()
    names = {"image": "rabbit.jpg", "example_input": "lemon.jpg", "example_output": "lemon-mask.png"}
    files = {field: sample(server, name) for field, name in names.items()}
    expected = server.client.post("/infer", files=files, data={"size": "original"}, headers={"Accept": "image/*"})
    assert distance(shown(page, "by example"), expected.content) < 0.2
    expect(card(page, "segmentation")).to_have_count(0)
    page.get_by_role("tab", name="By task").click()
    shown(page, "segmentation")


@pytest.mark.slow
@one_width
def test_own_pictures_by_file_drop_and_paste(page: Page, server: ServerProcess) -> None:
    def asked(image: bytes) -> bytes:
        return server.infer("segmentation", image, size="original").content

    chosen, dropped, pasted = photo(90, 60, seed=1), photo(60, 90, seed=2), photo(50, 50, seed=3)
    page.get_by_label("Choose a picture").set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": chosen})
    assert distance(shown(page, "segmentation"), asked(chosen)) < 0.2
    script = """(bytes) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], "b.jpg", { type: "image/jpeg" }));
        const [name, kind] = KIND;
        const event = new Event(name, { bubbles: true, cancelable: true });
        Object.defineProperty(event, kind, { value: transfer });
        document.querySelector("#drop").dispatchEvent(event);
    }"""
    for kind, image in (('["drop", "dataTransfer"]', dropped), ('["paste", "clipboardData"]', pasted)):
        page.evaluate(script.replace("KIND", kind), list(image))
        expect(page.locator(".busy")).to_have_count(0)
        assert distance(shown(page, "segmentation"), asked(image)) < 0.2


@one_width
def test_a_picture_that_cannot_be_read_is_explained(page: Page) -> None:
    page.get_by_label("Choose a picture").set_input_files(
        {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"not a picture"}
    )
    expect(card(page, "segmentation")).to_contain_text("An image could not be read")
    expect(page.get_by_role("status").filter(has_text="failed")).to_contain_text("An image could not be read")
    page.get_by_role("button", name="Rabbit").click()
    shown(page, "segmentation")


@pytest.mark.slow
def test_everything_can_be_done_with_the_keyboard(page: Page) -> None:
    def focused() -> Any:
        return page.locator(":focus")

    page.keyboard.press("Tab")
    expect(focused()).to_have_text("Skip to the answers")
    page.keyboard.press("Tab")
    expect(focused()).to_have_attribute("id", "file")
    page.keyboard.press("Tab")
    expect(focused()).to_have_text("Rabbit")
    page.keyboard.press("Enter")
    for _ in range(4):
        page.keyboard.press("Tab")
    expect(focused()).to_have_text("By task")
    page.keyboard.press("Tab")
    expect(focused()).to_have_attribute("value", "colorization")
    page.keyboard.press("Space")
    expect(card(page, "colorization").get_by_role("link")).to_be_visible()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="By example")).to_be_focused()
    expect(page.get_by_role("tab", name="By example")).to_have_attribute("aria-selected", "true")
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(focused()).to_have_text("Use a sample pair")
    page.keyboard.press("Enter")
    expect(card(page, "by example").get_by_role("link")).to_be_visible()
    outline = focused().evaluate("(element) => getComputedStyle(element).outlineStyle")
    assert outline == "solid"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_is_found_in_any_state(page: Page, scheme: Any) -> None:
    """axe's rules, which include names, roles, contrast and landmarks."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    check_barriers(page)
    for task in ("identity", "colorization"):
        page.get_by_role("checkbox", name=task).check()
    page.get_by_role("button", name="Rabbit").click()
    shown(page, "colorization")
    expect(page.locator(".busy")).to_have_count(0)
    check_barriers(page)
    page.get_by_role("tab", name="By example").click()
    page.get_by_role("button", name="Use a sample pair").click()
    shown(page, "by example")
    check_barriers(page)


def check_barriers(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.slow
@one_width
@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_nothing_sticks_out_at_any_width(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for task in ANSWERS:
        page.get_by_role("checkbox", name=task.replace("_", " ")).check()
    page.get_by_role("button", name="Rabbit").click()
    shown(page, "segmentation")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    beside = page.locator(".answers").bounding_box()
    assert beside is not None
    assert (beside["x"] > 200) == (width > 768)


@one_width
def test_no_key_is_asked_for_where_none_is_needed(page: Page) -> None:
    page.get_by_role("button", name="Rabbit").click()
    shown(page, "segmentation")
    expect(page.get_by_label("API key")).to_be_hidden()


@pytest.fixture(scope="module")
def guarded(start_server: Callable[..., ServerProcess]) -> ServerProcess:
    return start_server(api_keys=KEY)


@pytest.mark.slow
def test_a_key_is_asked_for_where_one_is_needed(context: BrowserContext, guarded: ServerProcess) -> None:
    page = context.new_page()
    visit(page, guarded)
    field = page.get_by_label("API key")
    expect(field).to_be_visible()
    page.get_by_role("button", name="Rabbit").click()
    expect(card(page, "segmentation")).to_contain_text("wants a valid API key")
    expect(field).to_be_focused()
    check_barriers(page)

    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill(KEY)
    page.get_by_role("button", name="Use", exact=True).click()
    shown(page, "segmentation")
    expect(field).not_to_have_attribute("aria-invalid", "true")

    page.reload()  # the key stays in the tab
    page.get_by_role("button", name="Rabbit").click()
    shown(page, "segmentation")


@pytest.mark.slow
@one_width
def test_a_server_that_is_gone_is_told(
    context: BrowserContext, start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = start_server()
    page = context.new_page()
    visit(page, server)
    server.stop()
    page.get_by_label("Choose a picture").set_input_files(
        {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo()}
    )
    expect(card(page, "segmentation")).to_contain_text("The server cannot be reached.")
