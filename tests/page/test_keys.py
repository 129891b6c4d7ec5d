"""The page in front of a service that wants a key, and in places that browsers distrust."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from services.client.client import Client
from services.client.key_command import make_key
from tests.page.conftest import FOREIGN_HOST, Visitor
from tests.running_stack import RunningStack
from tests.tiny_model import SENTENCE

pytestmark = pytest.mark.browser
KEY, ENTRY = make_key("tester")
OTHER_KEY, OTHER_ENTRY = make_key("colleague")


@pytest.fixture(scope="module")
def locked_stack(
    tmp_path_factory: pytest.TempPathFactory, tiny_bundle_dir: Path
) -> Iterator[RunningStack]:
    """A stack on all addresses that wants KEY, or OTHER_KEY."""
    folder = tmp_path_factory.mktemp("locked")
    keys = f"{ENTRY},{OTHER_ENTRY}"
    running = RunningStack(folder, tiny_bundle_dir, "--host", "0.0.0.0", STT_API_KEYS=keys)
    try:
        running.wait_ready()
        yield running
    finally:
        running.stop()


def test_a_key_is_asked_for_once_and_kept_for_the_tab(
    visitor: Visitor, locked_stack: RunningStack, speech: Callable[..., Path]
) -> None:
    page = visitor.open(locked_stack.url)
    page.fill("#key", "stt_wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#key-wrong")).to_be_visible()
    # No header can carry an invisible space, which comes along when a key is pasted from a page.
    page.fill("#key", f"{KEY}\N{ZERO WIDTH SPACE}")
    page.keyboard.press("Enter")
    expect(page.locator("#key-wrong")).to_be_visible()
    expect(page.locator("#key-dialog")).to_be_visible()
    page.fill("#key", KEY)
    page.keyboard.press("Enter")
    page.set_input_files("#files", str(speech("hej")))
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    expect(page.locator("#audio")).to_have_attribute("src", re.compile("^blob:"))
    page.click("#play")
    expect(page.locator("#play")).to_have_attribute("aria-label", "Pause")
    assert KEY not in page.evaluate("JSON.stringify(localStorage) + location.href")
    page.reload()
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    expect(page.locator("#key-dialog")).not_to_be_visible()
    # Another tab does not know the key.
    expect(visitor.open(locked_stack.url).locator("#key-dialog")).to_be_visible()


def test_two_who_share_a_browser_keep_each_their_own_list(
    visitor: Visitor, locked_stack: RunningStack, speech: Callable[..., Path]
) -> None:
    """What one key may not see is hidden from it, and stays in the list of the other."""
    pages = []
    for key, word in ((KEY, "ett"), (OTHER_KEY, "två")):
        page = visitor.open(locked_stack.url)
        page.fill("#key", key)
        page.keyboard.press("Enter")
        page.set_input_files("#files", str(speech(word)))
        expect(page.locator("#segments")).to_contain_text(SENTENCE)
        pages.append((page, page.locator(".job .name").inner_text()))
    for _ in range(2):
        for page, name in pages:
            page.reload()
            expect(page.locator("#segments")).to_contain_text(SENTENCE)
            expect(page.locator(".job .name")).to_have_text([name])


def test_on_a_phone_brand_model_and_key_share_one_line(
    visitor: Visitor, locked_stack: RunningStack
) -> None:
    page = visitor.open(locked_stack.url, width=390, height=844)
    page.fill("#key", KEY)
    page.keyboard.press("Enter")
    page.wait_for_selector("#model:not([hidden])")
    page.evaluate("document.getElementById('model').textContent = 'a-model@'.repeat(20)")
    boxes = [page.locator(name).bounding_box() for name in (".brand", "#model", "#key-button")]
    assert all(box is not None and box["height"] < 48 for box in boxes)
    assert all(box is not None and box["x"] + box["width"] <= 390 for box in boxes)
    expect(page.get_by_role("button", name="API key")).to_be_visible()


def test_without_a_key_the_page_says_so_and_asks_again(
    visitor: Visitor, locked_stack: RunningStack
) -> None:
    page = visitor.open(locked_stack.url)
    page.click("#key-later")
    expect(page.locator("#trouble")).to_contain_text("give it by the button at the top")
    page.click("#key-button")
    page.fill("#key", KEY)
    page.click("text=Use this key")
    expect(page.locator("#model")).to_have_text("tiny@1")
    expect(page.locator("#trouble")).not_to_be_visible()


def test_the_language_that_was_chosen_stays_when_another_key_is_given(
    visitor: Visitor, locked_stack: RunningStack
) -> None:
    page = visitor.open(locked_stack.url)
    page.route("**/v1/models", know_two_languages)
    page.fill("#key", KEY)
    page.keyboard.press("Enter")
    page.click(".options summary")
    page.select_option("#language", "sv")
    # It is back when the languages are offered anew.
    page.evaluate("document.querySelector('#language option').remove()")
    page.click("#key-button")
    page.fill("#key", OTHER_KEY)
    page.keyboard.press("Enter")
    expect(page.locator("#language option")).to_have_text(["Detect", "Danish", "Swedish"])
    expect(page.locator("#language")).to_have_value("sv")


def know_two_languages(route: Route) -> None:
    """Answer as the service does, for a model that knows more than one language."""
    answer = route.fetch()
    models = answer.json()
    if answer.ok:
        models["data"][0]["languages"] = ["da", "sv"]
    route.fulfill(response=answer, json=models)


def test_a_key_that_is_given_for_an_upload_starts_the_page_too(
    visitor: Visitor, locked_stack: RunningStack, speech: Callable[..., Path]
) -> None:
    page = visitor.open(locked_stack.url)
    page.click("#key-later")
    expect(page.locator("#trouble")).to_contain_text("give it by the button at the top")
    page.set_input_files("#files", str(speech("hej")))
    page.fill("#key", KEY)
    page.keyboard.press("Enter")
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    expect(page.locator("#model")).to_have_text("tiny@1")
    expect(page.locator("#trouble")).not_to_be_visible()


def test_where_recording_is_forbidden_upload_is_offered(
    visitor: Visitor, locked_stack: RunningStack
) -> None:
    port = locked_stack.url.rsplit(":", 1)[1]
    page = visitor.open(f"http://{FOREIGN_HOST}:{port}")
    expect(page.locator("#record")).to_be_disabled()
    expect(page.locator("#record-hint")).to_contain_text("HTTPS")
    expect(page.locator("#pick")).to_be_enabled()


def test_whoever_says_later_is_not_asked_again_for_the_sake_of_a_job(
    visitor: Visitor, locked_stack: RunningStack, speech: Callable[..., Path]
) -> None:
    page = visitor.open(locked_stack.url)
    page.fill("#key", KEY)
    page.keyboard.press("Enter")
    page.wait_for_selector("#model:not([hidden])")
    worker = locked_stack.children()["services.worker"]
    worker.suspend()
    try:
        page.set_input_files("#files", [str(speech("ett")), str(speech("två"))])
        expect(page.locator(".about", has_text="Waiting")).to_have_count(2)
        page.click("#key-button")
        page.click("#key-later")
        page.wait_for_timeout(5000)
        expect(page.locator("#key-dialog")).not_to_be_visible()
    finally:
        worker.resume()
    with Client(locked_stack.url, KEY) as client:
        for job in client.jobs():
            client.wait(job.id)
    page.wait_for_timeout(1000)
    expect(page.locator("#key-dialog")).not_to_be_visible()
    page.click("#key-button")
    page.fill("#key", KEY)
    page.keyboard.press("Enter")
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    expect(page.locator(".about", has_text="Waiting")).to_have_count(0)
