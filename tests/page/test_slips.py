"""A hand that slips on the page: one tap, click or paste too many costs nothing."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.page.conftest import record

pytestmark = pytest.mark.browser

#: As Excel and Word do it: what is copied is there as text, as HTML and as a picture.
PASTE_CELLS = """(target) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", "Sundsvall");
    clipboardData.setData("text/html", "<td>Sundsvall</td>");
    clipboardData.items.add(new File(["picture"], "image.png", { type: "image/png" }));
    target.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
}"""
#: As a browser or a file manager does it where text is wanted.
PASTE_FILE = """(target) => {
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File(["picture"], "image.png", { type: "image/png" }));
    target.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
}"""


def refuse(page: Page) -> list[str]:
    """Answer no to whatever is asked from now on; returns the questions."""
    questions: list[str] = []
    page.on("dialog", lambda dialog: (questions.append(dialog.message), dialog.dismiss()))
    return questions


def test_a_recording_is_not_discarded_without_a_question(page: Page) -> None:
    questions = refuse(page)
    record(page, 5)
    page.click("#record-drop")
    expect(page.locator("#recording")).to_be_visible()
    assert re.fullmatch(r"Discard this recording of 0:\d\d\?", "".join(questions))
    # It goes on, and can still be sent.
    page.click("#record-stop")
    expect(page.locator("#viewer-title")).to_contain_text("Recording")


def test_a_recording_is_discarded_when_that_is_meant(page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    record(page, 5)
    page.click("#record-drop")
    expect(page.locator("#record")).to_be_focused()
    expect(page.locator("#no-jobs")).to_be_visible()


def test_a_recording_that_could_not_be_sent_is_not_removed_without_a_question(page: Page) -> None:
    questions = refuse(page)
    page.route("**/v1/jobs", lambda route: route.abort())
    record(page, 1)
    page.click("#record-stop")
    expect(page.locator(".about.bad")).to_be_visible()
    page.click("text=Remove")
    expect(page.locator(".job")).to_have_count(1)
    assert "recorded here" in "".join(questions)


def test_a_cell_that_is_pasted_is_text_and_no_recording(page: Page) -> None:
    page.click(".options summary")
    page.locator("#keywords").evaluate(PASTE_FILE)
    page.locator("#keywords").evaluate(PASTE_CELLS)
    page.locator("body").evaluate(PASTE_CELLS)
    expect(page.locator("#no-jobs")).to_be_visible()


def test_a_double_click_on_again_makes_one_job(page: Page) -> None:
    page.click("#sample")
    page.wait_for_selector("#copy:enabled")
    asked: list[Route] = []
    page.route("**/retry", lambda route: asked.append(route))
    with page.expect_request("**/retry"):
        page.dblclick("#retry")
    expect(page.locator("#retry")).to_be_focused()
    asked[0].continue_()
    expect(page.locator(".job")).to_have_count(2)
    assert len(asked) == 1
