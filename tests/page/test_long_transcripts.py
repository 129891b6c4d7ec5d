"""Hours of speech on the page: all of it is there, and only what is near the window is laid out."""

import json

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
N_SEGMENTS = 1500
WORDS = "det var en gång en hund".split()
#: Segments of the transcript that take part in the layout.
N_LAID_OUT = """() => [...document.querySelectorAll(".segment p")]
    .filter((text) => text.checkVisibility({ contentVisibilityAuto: true })).length"""
#: The recording itself stays as short as it is.
GO_TO = """(seconds) => {
    Object.defineProperty(audio, "currentTime", { value: seconds, configurable: true });
    audio.dispatchEvent(new Event("seeked"));
}"""
#: Whether all of what is spoken is between the player and the lower edge.
IS_SEEN = """() => {
    const { top, bottom } = document.querySelector(".segment.spoken").getBoundingClientRect();
    return top >= player.getBoundingClientRect().bottom - 1 && bottom <= innerHeight;
}"""


def long_transcript() -> str:
    """A few seconds a segment; each tenth is so long that it takes more than one line."""
    segments, words = [], []
    for i in range(N_SEGMENTS):
        spoken = WORDS * (10 if i % 10 == 0 else 1)
        words += [{"word": word, "start": 4.0 * i, "end": 4.0 * i + 1} for word in spoken]
        segments.append({"start": 4.0 * i, "end": 4.0 * i + 4, "text": f" {' '.join(spoken)}"})
    return json.dumps({"text": "", "language_code": "sv", "segments": segments, "words": words})


@pytest.fixture
def long_page(page: Page) -> Page:
    """The page with the transcript of a recording of almost two hours."""
    transcript = long_transcript()
    page.route("**/transcript?*", lambda route: route.fulfill(body=transcript))
    page.click("#sample")
    expect(page.locator(".segment")).to_have_count(N_SEGMENTS)
    return page


def test_of_a_long_transcript_only_what_is_near_the_window_is_laid_out(long_page: Page) -> None:
    assert long_page.evaluate(N_LAID_OUT) < N_SEGMENTS / 4


def test_all_of_a_long_transcript_can_be_found_and_copied(long_page: Page) -> None:
    last = long_page.locator(".word").last
    last.evaluate("(word) => { word.textContent = 'sist'; }")
    assert long_page.evaluate("find('sist')")
    long_page.evaluate("getSelection().selectAllChildren(segments)")
    selected = long_page.evaluate("String(getSelection())")
    assert selected.count("hund") == long_page.evaluate("segments.textContent").count("hund")
    assert selected.rstrip().endswith("sist")


@pytest.mark.parametrize("width", [390, 1280])
def test_what_is_spoken_far_away_is_brought_into_view(long_page: Page, width: int) -> None:
    long_page.set_viewport_size({"width": width, "height": 700})
    # Safari does not hold what is seen in its place while something above it grows.
    long_page.evaluate("document.styleSheets[0].insertRule('html { overflow-anchor: none }')")
    for part in (0.5, 0.98, 0.1, 0.101):
        long_page.evaluate(GO_TO, 4.0 * N_SEGMENTS * part)
        long_page.wait_for_function(IS_SEEN)


def test_the_page_goes_along_with_the_sound_until_the_reader_leaves_it(long_page: Page) -> None:
    long_page.emulate_media(reduced_motion="reduce")
    seconds = 4.0 * N_SEGMENTS / 2
    long_page.evaluate(GO_TO, seconds)
    long_page.wait_for_function(IS_SEEN)
    # Not far enough to lose sight of it.
    long_page.mouse.move(900, 400)
    long_page.mouse.wheel(0, 60)
    long_page.evaluate(GO_TO, seconds + 4)
    long_page.wait_for_function(IS_SEEN)
    long_page.mouse.wheel(0, -20_000)
    long_page.wait_for_function(f"() => !({IS_SEEN})()")
    for i in (2, 3):
        long_page.evaluate(GO_TO, seconds + 4 * i)
        assert not long_page.evaluate(IS_SEEN)
    # As it is after a press on "Play".
    long_page.evaluate("audio.dispatchEvent(new Event('play'))")
    long_page.evaluate(GO_TO, seconds + 4 * 4)
    long_page.wait_for_function(IS_SEEN)


def test_on_a_phone_a_recording_that_is_chosen_is_shown_from_its_beginning(long_page: Page) -> None:
    long_page.set_viewport_size({"width": 390, "height": 844})
    long_page.click("#retry")
    expect(long_page.locator(".job")).to_have_count(2)
    expect(long_page.locator(".segment")).to_have_count(N_SEGMENTS)
    long_page.click(".job >> nth=1")
    expect(long_page.locator("#viewer-title")).to_be_in_viewport()
