"""Reading along: what is spoken and what is asked for are in view, and nothing else moves."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import SAMPLE_TEXT
from tests.tiny_model import SENTENCE

pytestmark = pytest.mark.browser


@pytest.fixture
def transcript(page: Page) -> Page:
    """The page with the finished transcript of the sample."""
    page.click("#sample")
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    page.wait_for_selector("#copy:enabled")
    return page


@pytest.mark.parametrize("press", ["click", "Enter"])
def test_a_time_is_played_from_also_while_words_are_selected(transcript: Page, press: str) -> None:
    transcript.evaluate("getSelection().selectAllChildren(document.querySelector('.segment p'))")
    time = transcript.locator(".segment .at").first
    if press == "click":
        time.click()
    else:
        time.press(press)
    expect(transcript.locator("#play")).to_have_attribute("aria-label", "Pause")


def test_words_can_be_selected_without_being_played(transcript: Page) -> None:
    """The click that ends the selection is not one on a word."""
    transcript.evaluate("getSelection().selectAllChildren(document.querySelector('.segment p'))")
    transcript.locator(".word").first.dispatch_event("click")
    expect(transcript.locator("#play")).to_have_attribute("aria-label", "Play")


def test_an_arrow_key_moves_five_seconds(page: Page, speech: Callable[..., Path]) -> None:
    page.set_input_files("#files", str(speech(" ".join(8 * [SAMPLE_TEXT]))))
    page.wait_for_selector("#copy:enabled")
    position = page.locator("#now")
    for key, moment in (("Right", "0:05"), ("Up", "0:10"), ("Left", "0:05"), ("Down", "0:00")):
        page.locator("#seek").press(f"Arrow{key}")
        expect(position).to_have_text(moment)
    page.locator("#seek").press("ArrowLeft")
    expect(position).to_have_text("0:00")
