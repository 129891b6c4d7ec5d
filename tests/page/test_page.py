"""What a person does on the page, in a real browser."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from services.client.client import Client
from tests.page.conftest import Visitor, record
from tests.running_stack import RunningStack
from tests.tiny_model import SENTENCE

pytestmark = pytest.mark.browser
Speech = Callable[..., Path]

DONE = "#copy:not([hidden])"
#: Every control that a screen reader would call just "button" or "edit".
NAMELESS = """() => [...document.querySelectorAll("button, input, select, textarea, progress, a")]
    .filter((e) => !e.closest('[hidden], [aria-hidden="true"]') && !e.hidden)
    .filter((e) => !(e.ariaLabel || e.innerText?.trim() || e.textContent?.trim() || e.labels?.length
        || e.getAttribute("aria-labelledby")))
    .map((e) => e.outerHTML)"""

#: What the keys for pasting do after a file was copied.
PASTE = """async () => {
    const sound = await (await fetch("page/sample.mp3")).blob();
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([sound], "copied.mp3"));
    document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
}"""


def send(page: Page, *recordings: Path) -> None:
    page.set_input_files("#files", [str(recording) for recording in recordings])


def test_speech_from_the_microphone_becomes_text(page: Page) -> None:
    record(page, 3)
    page.click("#record-stop")
    expect(page.locator("#segments")).to_have_text(f"0:00{SENTENCE}")
    page.wait_for_selector(DONE)
    expect(page.locator("#facts")).to_contain_text("Swedish · tiny@1")
    # Three seconds and what passed until the button was pressed, less what the microphone was late.
    expect(page.locator("#end")).to_have_text(re.compile("^0:0[2-9]$"))


def test_the_level_meter_moves_and_a_recording_can_be_discarded(page: Page) -> None:
    page.click("#record")
    drawn = """() => { const c = document.getElementById("level");
        return c.getContext("2d").getImageData(0, 0, c.width, c.height).data.some((x) => x > 0) }"""
    page.wait_for_function(drawn)
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#record-drop")
    expect(page.locator("#record")).to_be_focused()
    expect(page.locator("#no-jobs")).to_be_visible()


def test_files_are_sent_shown_played_and_taken_home(page: Page, speech: Speech) -> None:
    send(page, speech("hej och välkommen"), speech("god morgon"))
    expect(page.locator(".job")).to_have_count(2)
    page.wait_for_selector(DONE)
    page.click(".word >> nth=1")
    expect(page.locator(".word.spoken").first).to_be_visible()
    page.click("#copy")
    assert page.evaluate("navigator.clipboard.readText()") == SENTENCE
    for name, start in (("srt", "1\n00:00:0"), ("vtt", "WEBVTT"), ("json", "{"), ("txt", SENTENCE)):
        with page.expect_download() as download:
            page.click(f"#downloads >> text={name}")
        assert download.value.suggested_filename.endswith(f".{name}")
        assert Path(download.value.path()).read_text().startswith(start)


def test_what_is_selected_stays_so_when_the_whole_transcript_comes(page: Page) -> None:
    held: list[Route] = []
    page.route("**/transcript?*", lambda route: held.append(route))
    with page.expect_request("**/transcript?*"):
        page.click("#sample")
    words = page.locator("#segments .word")
    expect(words.first).to_be_visible()
    page.evaluate("getSelection().selectAllChildren(segments)")
    held.pop().continue_()
    page.wait_for_selector("#copy:enabled")
    selected = page.evaluate("String(getSelection())").split()
    assert set(words.all_text_contents()) <= set(selected)


def test_files_can_be_dropped_anywhere(page: Page, speech: Speech) -> None:
    page.evaluate(
        """async ([bytes]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "dropped.wav"));
            for (const kind of ["dragenter", "dragover", "drop"])
                document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: transfer,
                    bubbles: true, cancelable: true}));
        }""",
        [list(speech("hej").read_bytes())],
    )
    expect(page.locator("#viewer-title")).to_have_text("dropped.wav")
    page.wait_for_selector(DONE)


def test_the_sample_can_be_tried_at_once(page: Page) -> None:
    page.click("#sample")
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    # A screen reader takes the voice of the language, not that of the page.
    expect(page.locator("#segments")).to_have_attribute("lang", "sv")
    expect(page.locator(".segment p")).to_have_attribute("dir", "auto")


def test_what_is_no_audio_is_said_in_plain_words_and_not_lost(page: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_text("this is no audio at all " * 50)
    send(page, tmp_path / "notes.wav")
    expect(page.locator(".about.bad")).to_contain_text("audio")
    # Sending the same again would be in vain.
    expect(page.locator(".job .row button")).to_have_text(["Save", "Remove"])
    with page.expect_download() as download:
        page.click("text=Save")
    assert Path(download.value.path()).read_text().startswith("this is no audio")
    page.click("text=Remove")
    expect(page.locator("#no-jobs")).to_be_visible()


def test_the_history_is_ids_alone_and_outlives_a_reload(
    page: Page, stack: RunningStack, speech: Speech
) -> None:
    send(page, speech("hej"))
    page.wait_for_selector(DONE)
    [job_id] = page.evaluate("JSON.parse(localStorage['whisper-sv.jobs'])")
    assert page.evaluate("Object.keys(localStorage)") == ["whisper-sv.jobs"]
    page.reload()
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    with Client(stack.url) as client:
        client.delete(job_id)
    page.reload()
    page.wait_for_function("() => localStorage['whisper-sv.jobs'] === '[]'")
    expect(page.locator("#no-jobs")).to_be_visible()


def test_what_one_tab_makes_or_deletes_another_lists_or_forgets(
    page: Page, visitor: Visitor, stack: RunningStack, speech: Speech
) -> None:
    other = visitor.open(stack.url)
    other.wait_for_selector("#model:not([hidden])")
    send(page, speech("hej"))
    expect(other.locator(".job")).to_have_count(1)
    page.wait_for_selector(DONE)
    expect(other.locator(".job progress")).to_have_count(0)
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("#delete")
    expect(other.locator("#no-jobs")).to_be_visible()


def test_a_file_that_is_pasted_is_sent(page: Page) -> None:
    page.evaluate(PASTE)
    expect(page.locator(".job .name")).to_have_text("copied.mp3")
    page.wait_for_selector(DONE)


def test_a_job_can_be_run_again_and_deleted(page: Page, speech: Speech) -> None:
    page.once("dialog", lambda dialog: dialog.accept())
    send(page, speech("hej"))
    page.wait_for_selector(DONE)
    page.click("#retry")
    expect(page.locator(".job")).to_have_count(2)
    page.wait_for_selector(DONE)
    page.click("#delete")
    expect(page.locator(".job")).to_have_count(1)
    # Whoever uses the keyboard or a screen reader must not be thrown back to the top.
    expect(page.get_by_role("region", name="Transcript", exact=True)).to_be_focused()


def test_a_waiting_job_is_shown_and_can_be_canceled(
    page: Page, stack: RunningStack, speech: Speech
) -> None:
    worker = stack.children()["services.worker"].pid
    os.kill(worker, signal.SIGSTOP)
    try:
        # The worker had asked for a job before it was stopped, and may have got the first one.
        send(page, speech("ett"), speech("två"), speech("tre"))
        expect(page.locator("#state-text")).to_contain_text("Waiting")
        expect(page.locator(".job >> nth=0").locator(".about")).to_contain_text("Waiting")
        # One is told by events, since it is looked at; the others are asked for.
        expect(page.locator(".about", has_text="number 2 in line")).to_have_count(1)
        expect(page.locator(".about", has_text="Waiting for a worker")).not_to_have_count(0)
        page.click("#cancel")
        expect(page.locator("#state-text")).to_have_text("Canceled")
        expect(page.locator("#transcript")).to_be_focused()
    finally:
        os.kill(worker, signal.SIGCONT)
    expect(page.locator(".about", has_text="Waiting")).to_have_count(0)


def test_a_restart_of_the_api_loses_nothing(
    page: Page, stack: RunningStack, speech: Speech
) -> None:
    parts = stack.children()
    parts["services.worker"].suspend()
    send(page, speech("hej"))
    expect(page.locator("#state-text")).to_contain_text("Waiting")
    parts["services.api"].kill()
    parts["services.worker"].resume()
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    page.wait_for_selector(DONE)


@pytest.mark.parametrize("width", [195, 320, 390, 768, 1280])
def test_nothing_is_wider_than_the_screen(
    visitor: Visitor, stack: RunningStack, speech: Speech, width: int
) -> None:
    page = visitor.open(stack.url, width=width, height=700)
    page.click(".options summary")
    send(page, speech("hej"))
    page.wait_for_selector(DONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_works_by_keyboard_and_every_control_has_a_name(page: Page, speech: Speech) -> None:
    send(page, speech("hej"))
    page.wait_for_selector(DONE)
    assert page.evaluate(NAMELESS) == []
    named = page.get_by_role("region", name="New transcript").get_by_role("button")
    expect(named).to_have_text(["Record", "Choose files"])
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    address = page.url
    page.keyboard.press("Enter")
    expect(page.locator("#transcript")).to_be_focused()
    # It names the recording, which a reload shows again.
    assert page.url == address
    page.keyboard.press("Tab")
    expect(page.locator("#play")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#play")).to_have_attribute("aria-label", "Pause")
    expect(page.locator("#announcer")).to_contain_text("Done")


def test_a_recording_without_speech_says_so(
    page: Page, stack: RunningStack, tmp_path: Path
) -> None:
    import wave

    with wave.open(str(tmp_path / "silence.wav"), "wb") as silence:
        silence.setparams((1, 2, 16_000, 0, "NONE", ""))
        silence.writeframes(bytes(2 * 16_000 * 3))
    send(page, tmp_path / "silence.wav")
    expect(page.locator("#nothing")).to_be_visible()


def test_a_recording_outlives_a_crash_of_its_tab(visitor: Visitor, stack: RunningStack) -> None:
    page = visitor.open(stack.url)
    record(page, 3)
    page.close()
    page = visitor.open(stack.url)
    expect(page.locator(".about.bad")).to_contain_text("broken off")
    page.click("text=Send again")
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    page.wait_for_selector(DONE)
    page.reload()
    expect(page.locator(".job")).to_have_count(1)
    expect(page.locator(".about.bad")).to_have_count(0)


@pytest.mark.parametrize(
    ("name", "saved"), [("meeting 12.30", "meeting 12.30.txt"), ("å 2.0.MP3", "å 2.0.txt")]
)
def test_a_transcript_is_named_like_its_recording(
    page: Page, speech: Speech, tmp_path: Path, name: str, saved: str
) -> None:
    recording = tmp_path / name
    recording.write_bytes(speech("hej").read_bytes())
    send(page, recording)
    page.wait_for_selector(DONE)
    with page.expect_download() as download:
        page.click("[data-format=text]")
    assert download.value.suggested_filename == saved
