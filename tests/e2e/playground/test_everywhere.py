"""The page at any width, in any state, with keys and without its server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.playground.conftest import KEY, card, check_barriers, one_width, shown, visit
from tests.support import ANSWERS, ServerProcess, photo

pytestmark = pytest.mark.needs("chromium")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_is_found_in_any_state(page: Page, scheme: Any) -> None:
    """axe's rules, which include names, roles, contrast and landmarks."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    check_barriers(page)
    for task in ("identity", "colorization"):
        page.get_by_role("checkbox", name=task).check()
    page.get_by_role("button", name="Cat").click()
    shown(page, "colorization")
    expect(page.locator(".busy")).to_have_count(0)
    check_barriers(page)
    page.get_by_role("checkbox", name="inpaint").check()
    expect(card(page, "inpaint")).to_contain_text("Paint over")
    check_barriers(page)
    page.get_by_role("tab", name="By example").click()
    page.get_by_role("button", name="Use a sample pair").click()
    shown(page, "by example")
    check_barriers(page)


@pytest.mark.slow
@one_width
@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_nothing_sticks_out_at_any_width(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for task in ANSWERS:
        page.get_by_role("checkbox", name=task.replace("_", " ")).check()
    page.get_by_role("button", name="Cat").click()
    shown(page, "segmentation")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    beside = page.locator(".answers").bounding_box()
    assert beside is not None
    assert (beside["x"] > 200) == (width > 768)


@one_width
def test_no_key_is_asked_for_where_none_is_needed(page: Page) -> None:
    page.get_by_role("button", name="Cat").click()
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
    page.get_by_role("button", name="Cat").click()
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
    page.get_by_role("button", name="Cat").click()
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
