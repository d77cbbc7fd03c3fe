"""Pictures, tasks, examples and masks on the page, and what it shows of their answers."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect

from artifacts.store.folder import Store
from engine.towers.folder import load_tower
from tests.e2e.playground.conftest import asked, card, check_barriers, distance, one_width, sample, shown, visit
from tests.support import ServerProcess, make_residual, photo

pytestmark = pytest.mark.needs("chromium")


def test_several_tasks_side_by_side_with_their_times(page: Page, server: ServerProcess) -> None:
    for task in ("identity", "lowlight enhance"):
        page.get_by_role("checkbox", name=task).check()
    page.get_by_role("button", name="Cat").click()
    for task in ("identity", "lowlight_enhance", "segmentation"):
        answer = shown(page, task.replace("_", " "))
        assert distance(answer, asked(server, task, sample(server, "cat.jpg"))) < 0.2
        expect(card(page, task.replace("_", " ")).locator(".time")).to_have_text(re.compile(r"^[\d.]+ ms$"))
        stages = card(page, task.replace("_", " ")).locator("dt").all_inner_texts()
        assert stages == ["decode", "queue", "compute", "encode"]
    assert page.locator(".answer h3").all_inner_texts() == ["Identity", "Lowlight Enhance", "Segmentation"]
    expect(page.get_by_role("status").filter(has_text="Answered")).to_contain_text("segmentation in")

    page.get_by_role("checkbox", name="identity").uncheck()
    expect(card(page, "identity")).to_have_count(0)
    page.get_by_role("radio", name="112 px").check()
    expect(page.locator(".busy")).to_have_count(0)
    assert Image.open(io.BytesIO(shown(page, "segmentation"))).size == (112, 112)


@one_width
def test_a_sample_brings_its_task(page: Page) -> None:
    page.get_by_role("button", name="Dark cup").click()
    expect(page.get_by_role("checkbox", name="lowlight enhance")).to_be_checked()
    shown(page, "lowlight enhance")


@pytest.mark.slow
@one_width
def test_the_last_picture_wins(page: Page, server: ServerProcess) -> None:
    for name in ("Cup", "Rocket", "Dark cup"):
        page.get_by_role("button", name=name, exact=True).click()
    expect(page.get_by_role("button", name="Dark cup")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".busy")).to_have_count(0)
    answer = shown(page, "segmentation")
    names = ("cup.jpg", "rocket.jpg", "cup-dark.jpg")
    alone = [asked(server, "segmentation", sample(server, name)) for name in names]
    distances = [distance(answer, other) for other in alone]
    assert distances.index(min(distances)) == 2


def test_an_example_pair_in_place_of_a_task(page: Page, server: ServerProcess) -> None:
    page.get_by_role("button", name="Cat").click()
    page.get_by_role("tab", name="By example").click()
    expect(page.locator("#hint")).to_have_text("Give an example input and an example output.")
    page.get_by_role("button", name="Use a sample pair").click()
    names = {"image": "cat.jpg", "example_input": "cup.jpg", "example_output": "cup-mask.png"}
    files = {field: sample(server, name) for field, name in names.items()}
    expected = server.client.post("/infer", files=files, data={"size": "original"}, headers={"Accept": "image/*"})
    assert distance(shown(page, "by example"), expected.content) < 0.2
    expect(card(page, "segmentation")).to_have_count(0)
    page.get_by_role("tab", name="By task").click()
    shown(page, "segmentation")


@pytest.mark.slow
@one_width
def test_own_pictures_by_file_drop_and_paste(page: Page, server: ServerProcess) -> None:
    chosen, dropped, pasted = photo(90, 60, seed=1), photo(60, 90, seed=2), photo(50, 50, seed=3)
    page.get_by_label("Choose a picture").set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": chosen})
    assert distance(shown(page, "segmentation"), asked(server, "segmentation", chosen)) < 0.2
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
        assert distance(shown(page, "segmentation"), asked(server, "segmentation", image)) < 0.2


@one_width
def test_a_picture_that_cannot_be_read_is_explained(page: Page) -> None:
    page.get_by_label("Choose a picture").set_input_files(
        {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"not a picture"}
    )
    expect(card(page, "segmentation")).to_contain_text("An image could not be read")
    expect(page.get_by_role("status").filter(has_text="failed")).to_contain_text("An image could not be read")
    page.get_by_role("button", name="Cat").click()
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
    expect(focused()).to_have_text("Cat")
    page.keyboard.press("Enter")
    for _ in range(6):
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


def filled(page: Page, server: ServerProcess) -> Any:
    """Where the answer is not as the sample was: bool [H,W]."""
    answer, whole = (
        np.asarray(Image.open(io.BytesIO(file)).convert("RGB")).astype(int)
        for file in (shown(page, "inpaint"), sample(server, "cat.jpg"))
    )
    return np.abs(answer - whole).max(-1) > 4


def test_a_hole_is_painted_with_mouse_finger_or_keys(page: Page, server: ServerProcess) -> None:
    page.get_by_role("checkbox", name="segmentation").uncheck()
    page.get_by_role("button", name="Cat").click()
    brush = page.get_by_label("Paint over your picture")
    expect(brush).to_be_hidden()
    page.get_by_role("checkbox", name="inpaint").check()
    expect(card(page, "inpaint")).to_contain_text("Paint over what is to be filled in.")

    brush.scroll_into_view_if_needed()
    box = brush.bounding_box()
    assert box is not None
    across = [(box["x"] + share * box["width"], box["y"] + box["height"] / 4) for share in (0.25, 0.5, 0.75)]
    page.mouse.move(*across[0])
    page.mouse.down()
    for place in across[1:]:
        page.mouse.move(*place)
    page.mouse.up()
    hole = filled(page, server)
    assert hole[75, 113:338].mean() > 0.9
    assert hole[45:105, 83:368].sum() == hole.sum()

    page.get_by_role("button", name="Undo").click()
    expect(card(page, "inpaint")).to_contain_text("Paint over what is to be filled in.")
    brush.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    rows, columns = np.nonzero(filled(page, server))  # a step from where the mouse has left the brush
    assert (rows.mean(), columns.mean()) == (pytest.approx(75, abs=4), pytest.approx(451 * (0.75 + 0.03), abs=4))
    page.get_by_role("button", name="Clear").click()
    expect(card(page, "inpaint")).to_contain_text("Paint over what is to be filled in.")


@one_width
def test_a_sample_comes_painted_over(page: Page) -> None:
    page.get_by_role("button", name="One mast less").click()
    expect(page.get_by_role("checkbox", name="inpaint")).to_be_checked()
    shown(page, "inpaint")
    page.get_by_role("button", name="Cat").click()
    expect(page.get_by_role("checkbox", name="inpaint")).not_to_be_checked()


def test_the_answer_is_laid_over_the_picture_up_to_the_slider(page: Page) -> None:
    page.get_by_role("button", name="Cat").click()
    shown(page, "segmentation")
    slider = card(page, "segmentation").get_by_role("slider")
    after = card(page, "segmentation").get_by_role("img")
    expect(after).to_have_css("clip-path", "inset(0px 0px 0px 50%)")
    slider.press("ArrowRight")
    expect(after).to_have_css("clip-path", "inset(0px 0px 0px 51%)")
    expect(slider).to_have_attribute("aria-valuetext", "49 % of the answer")
    box = slider.bounding_box()
    assert box is not None
    slider.click(position={"x": box["width"] * 0.1, "y": box["height"] / 2})
    left = re.compile(r"^inset\(0px 0px 0px (9|10|11)%\)$")
    expect(after).to_have_css("clip-path", left)


@one_width
def test_masks_are_cut_unless_soft_ones_are_asked_for(page: Page, server: ServerProcess) -> None:
    page.get_by_role("button", name="Cat").click()
    levels = np.unique(np.asarray(Image.open(io.BytesIO(shown(page, "segmentation")))))
    assert set(levels.tolist()) <= {0, 255}
    page.get_by_role("radio", name="Soft").check()
    expect(page.locator(".busy")).to_have_count(0)
    soft = server.infer("segmentation", sample(server, "cat.jpg"), size="original")
    assert distance(shown(page, "segmentation"), soft.content) < 0.2
    percent = round(100 * float(soft.headers["x-vtv-confidence"]))
    expect(card(page, "segmentation").locator(".confidence")).to_contain_text(f"{percent} %")
    page.get_by_role("checkbox", name="identity").check()
    shown(page, "identity")
    expect(card(page, "identity").locator(".confidence")).to_have_count(0)
    page.get_by_role("checkbox", name="segmentation").uncheck()
    expect(page.get_by_role("radio", name="Soft")).to_be_hidden()


@pytest.fixture(scope="module")
def classifying(
    start_server: Callable[..., ServerProcess], tower_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> ServerProcess:
    """A server with one task, which classifies."""
    folder = tmp_path_factory.mktemp("classifying")
    mark = load_tower(tower_folder).fingerprint
    make_residual(folder / "plants", "plants", mark, 1, classes=7)
    Store(folder / "store").publish_residual(folder / "plants", mark)
    return start_server(store=str(folder / "store"), tower=str(tower_folder), tower_buckets="1")


def test_classes_are_shown_as_bars(context: BrowserContext, classifying: ServerProcess) -> None:
    page = context.new_page()
    visit(page, classifying, tasks=1)
    page.get_by_role("button", name="Cat").click()
    bars = card(page, "plants").get_by_role("listitem")
    expect(bars).to_have_count(5)
    told = classifying.infer("plants", sample(classifying, "cat.jpg")).json()["outputs"][0]["classes"]
    for bar, best in zip(bars.all(), told, strict=True):
        expect(bar).to_contain_text(best["label"])
        expect(bar).to_contain_text(f"{100 * best['score']:.1f} %")
    widths = [bar.locator(".meter span").evaluate("(each) => each.offsetWidth") for bar in bars.all()]
    assert widths == sorted(widths, reverse=True)
    expect(card(page, "plants").get_by_role("slider")).to_have_count(0)
    check_barriers(page)
