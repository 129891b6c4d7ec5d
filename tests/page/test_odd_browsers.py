"""The page in browsers other than the usual one: what they cannot do, or do not allow."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from tests.page.conftest import Visitor, record
from tests.running_stack import RunningStack
from tests.tiny_model import SENTENCE

pytestmark = pytest.mark.browser
#: Firefox takes both kinds, and Chromium must do as if it did.
RECORDS_OGG = """
MediaRecorder = class extends MediaRecorder {
  constructor(stream) { super(stream); }
  static isTypeSupported(kind) { return /webm|ogg/.test(kind); }
};
"""
FULL = (
    "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); };"
)
#: As Chrome does it where all cookies are blocked.
BLOCKED = """
for (const name of ["localStorage", "sessionStorage"]) {
  const get = () => { throw new DOMException("denied", "SecurityError"); };
  Object.defineProperty(window, name, { get });
}
"""
#: As where the disk is full, or the encoder crashes.
FAILS_LATER = """
MediaRecorder = class extends MediaRecorder {
  start(ms) { super.start(ms); setTimeout(() => this.dispatchEvent(new Event("error")), 700); }
};
"""
#: As Firefox does it at the first sound where no device plays it.
NO_SOUND = """
Object.defineProperty(audio, "error", { value: { code: MediaError.MEDIA_ERR_DECODE } });
audio.dispatchEvent(new Event("error"));
"""
REFUSED = """
navigator.clipboard.writeText = () => Promise.reject(new DOMException("no", "NotAllowedError"));
"""
#: As a phone does it: the lock is lost when the page is hidden.
LOCKS = """
window.locks = [];
const request = async () => {
  const lock = { isHeld: true, release: async () => { lock.isHeld = false; } };
  locks.push(lock);
  return lock;
};
Object.defineProperty(navigator, "wakeLock", { value: { request } });
window.turn = (isHidden) => {
  Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
  Object.defineProperty(document, "visibilityState",
    { value: isHidden ? "hidden" : "visible", configurable: true });
  if (isHidden) for (const lock of locks) lock.isHeld = false;
  document.dispatchEvent(new Event("visibilitychange"));
};
"""
#: As it is without HTTPS, in a browser that does not copy for pages.
OLD = """
Object.defineProperty(navigator, "clipboard", { value: undefined });
document.execCommand = () => false;
"""


def test_where_ogg_can_be_recorded_it_is(visitor: Visitor, stack: RunningStack) -> None:
    visitor.context.add_init_script(RECORDS_OGG)
    page = visitor.open(stack.url)
    page.click("#record")
    page.click("#record-stop")
    expect(page.locator("#viewer-title")).to_contain_text(".ogg")


@pytest.mark.parametrize("storage", [FULL, BLOCKED], ids=["full", "blocked"])
def test_where_nothing_can_be_kept_the_transcript_is_shown(
    visitor: Visitor, stack: RunningStack, storage: str
) -> None:
    visitor.context.add_init_script(storage)
    page = visitor.open(stack.url)
    page.click("#sample")
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    expect(page.locator("#trouble")).to_be_hidden()


def test_letters_twice_as_large_fit_into_their_buttons(
    visitor: Visitor, stack: RunningStack
) -> None:
    page = visitor.open(stack.url)
    # As Firefox does it with "Zoom text only".
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    panel, pick = page.locator(".drop").bounding_box(), page.locator("#pick").bounding_box()
    assert panel and pick
    assert pick["x"] + pick["width"] <= panel["x"] + panel["width"]


def test_what_cannot_be_played_says_why_the_player_goes(
    visitor: Visitor, stack: RunningStack
) -> None:
    page = visitor.open(stack.url)
    page.click("#sample")
    expect(page.locator("#player")).to_be_visible()
    page.evaluate(NO_SOUND)
    expect(page.locator("#player")).to_be_hidden()
    expect(page.locator("#trouble")).to_contain_text("sound device")


def test_a_recording_that_this_browser_cannot_play_says_so_until_another_is_shown(
    visitor: Visitor, stack: RunningStack, speech: Callable[..., Path], tmp_path: Path
) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    path = tmp_path / "dictation.wma"
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(speech("hej")), str(path)], check=True)
    page = visitor.open(stack.url)
    page.wait_for_selector("#model:not([hidden])")
    page.set_input_files("#files", str(path))
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    said = page.get_by_role("status").filter(has_text="cannot play this recording")
    expect(said).to_be_visible()
    expect(page.locator("#player")).to_be_hidden()
    expect(page.locator("#trouble")).to_be_hidden()
    page.set_input_files("#files", str(speech("hej")))
    expect(page.locator("#player")).to_be_visible()
    expect(said).to_have_count(0)


def test_words_that_are_unsure_are_marked_in_safari_too() -> None:
    page = Path(__file__).parents[2] / "services" / "api" / "page"
    styles = "".join(path.read_text() for path in page.glob("*.css"))
    assert "text-decoration-line: underline" in styles
    # Safari takes the line alone from the shorthand: with a style or a colour it passes it over.
    assert not re.search(r"text-decoration: *[^;\s]+ ", styles)


def test_what_is_written_from_the_right_begins_there(visitor: Visitor, stack: RunningStack) -> None:
    page = visitor.open(stack.url)
    page.click("#sample")
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    # What Firefox makes of its own "match-parent", in a list that is written from the left.
    page.evaluate("document.styleSheets[0].insertRule('li { text-align: left }')")
    expect(page.locator(".segment p")).to_have_css("text-align", "start")


def test_on_paper_there_is_the_transcript_alone(visitor: Visitor, stack: RunningStack) -> None:
    page = visitor.open(stack.url)
    page.click("#sample")
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    page.emulate_media(media="print")
    expect(page.locator("#segments")).to_be_visible()
    for part in (".composer", ".history", "#player", "#tools"):
        expect(page.locator(part)).to_be_hidden()


def test_with_colours_of_the_readers_own_position_and_choice_are_seen(
    visitor: Visitor, stack: RunningStack
) -> None:
    page = visitor.open(stack.url)
    page.click("#sample")
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    page.emulate_media(forced_colors="active")
    looks = "(element) => getComputedStyle(element).appearance"
    assert page.locator("#seek").evaluate(looks) == "auto"
    outline = "(element) => getComputedStyle(element).outlineStyle"
    assert page.locator(".job > button").evaluate(outline) == "solid"


def test_what_is_spoken_comes_from_behind_the_player_without_motion_if_asked(
    visitor: Visitor, stack: RunningStack
) -> None:
    page = visitor.open(stack.url, height=260)
    page.emulate_media(reduced_motion="reduce")
    page.click("#sample")
    page.wait_for_selector("#copy:enabled")  # The list is drawn for the last time.
    # The list made long, so that its first segment is above what is seen.
    page.evaluate("document.querySelector('#segments').style.paddingBottom = '900px'")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.evaluate("document.querySelector('#segments [data-start]').click()")
    spoken = page.locator(".segment.spoken")
    expect(spoken).to_be_visible()
    segment, player = spoken.bounding_box(), page.locator("#player").bounding_box()
    assert segment and player
    assert 0 <= player["y"]
    assert segment["y"] >= player["y"] + player["height"] - 1


def test_a_recording_that_one_tab_sends_is_not_offered_by_another(
    visitor: Visitor, stack: RunningStack
) -> None:
    page = visitor.open(stack.url)
    held: list[Route] = []
    page.route("**/v1/jobs", lambda route: held.append(route))
    record(page, 1)
    page.click("#record-stop")
    expect(page.locator(".job")).to_have_count(1)
    other = visitor.open(stack.url)
    other.wait_for_selector("#model:not([hidden])")
    other.wait_for_timeout(500)
    expect(other.locator(".about.bad")).to_have_count(0)
    page.close()
    other.reload()
    expect(other.locator(".about.bad")).to_contain_text("broken off")
    # Nor one that another tab already offers.
    third = visitor.open(stack.url)
    third.wait_for_selector("#model:not([hidden])")
    third.wait_for_timeout(500)
    expect(third.locator(".about.bad")).to_have_count(0)
    third.close()
    other.reload()
    expect(other.locator(".about.bad")).to_contain_text("broken off")


@pytest.mark.parametrize("fault", ["constructor", "start"])
def test_where_recording_fails_it_is_said_and_can_be_tried_again(
    visitor: Visitor, stack: RunningStack, fault: str
) -> None:
    body = f"{'super(s); ' if fault == 'constructor' else ''}throw new Error('odd');"
    of = "constructor(s)" if fault == "constructor" else "start()"
    visitor.context.add_init_script(
        f"MediaRecorder = class extends MediaRecorder {{ {of} {{ {body} }} }};"
    )
    page = visitor.open(stack.url)
    page.click("#record")
    expect(page.locator("#record-hint")).to_contain_text("odd")
    expect(page.locator("#announcer")).to_contain_text("odd")
    expect(page.locator("#record")).to_be_enabled()
    expect(page.locator("#record")).to_be_focused()
    expect(page.locator("#recording")).to_be_hidden()


def test_a_recorder_that_fails_meanwhile_sends_what_there_is(
    visitor: Visitor, stack: RunningStack
) -> None:
    visitor.context.add_init_script(FAILS_LATER)
    page = visitor.open(stack.url)
    page.click("#record")
    expect(page.locator("#viewer-title")).to_contain_text("Recording")


@pytest.mark.parametrize("clipboard", [REFUSED, OLD], ids=["refused", "old"])
def test_where_copying_is_not_allowed_it_is_said(
    visitor: Visitor, stack: RunningStack, clipboard: str
) -> None:
    visitor.context.add_init_script(clipboard)
    page = visitor.open(stack.url)
    page.click("#sample")
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    page.click("#copy")
    expect(page.locator("#trouble")).to_contain_text("Download it")
    expect(page.locator("#copy")).to_have_text("Copy")
    expect(page.locator("#copy")).to_be_focused()


def test_on_wide_paper_and_in_the_dark_it_is_as_wide_and_black(
    visitor: Visitor, stack: RunningStack
) -> None:
    page = visitor.open(stack.url)
    page.click("#sample")
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    page.emulate_media(media="print", color_scheme="dark")
    viewer, main = page.locator(".viewer").bounding_box(), page.locator("main").bounding_box()
    assert viewer and main
    assert viewer["width"] == main["width"]
    ink = page.locator("#segments").evaluate("(element) => getComputedStyle(element).color")
    assert ink == "rgb(28, 35, 38)"


def test_the_screen_stays_awake_for_a_recording_also_after_the_page_was_hidden(
    visitor: Visitor, stack: RunningStack
) -> None:
    visitor.context.add_init_script(LOCKS)
    page = visitor.open(stack.url)
    held = "() => locks.filter((lock) => lock.isHeld).length"
    page.click("#record")
    page.wait_for_function(f"() => ({held})() === 1")
    page.evaluate("turn(true)")
    assert page.evaluate(held) == 0
    page.evaluate("turn(false)")
    page.wait_for_function(f"() => ({held})() === 1")
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#record-drop")
    page.wait_for_function(f"() => ({held})() === 0")
    page.evaluate("turn(true); turn(false)")
    assert page.evaluate(held) == 0


@pytest.mark.parametrize("width", [320, 640, 768])
def test_the_two_ways_to_begin_fill_their_panel(
    visitor: Visitor, stack: RunningStack, width: int
) -> None:
    page = visitor.open(stack.url, width=width)
    record, pick = page.locator("#record").bounding_box(), page.locator("#pick").bounding_box()
    below = page.locator("#drop-hint").bounding_box()
    assert record and pick and below
    assert record["x"] == below["x"]
    assert round(pick["x"] + pick["width"]) == round(below["x"] + below["width"])
