"""The first minute of a newcomer: `whisper-sv up`, the page, the demo model, a microphone."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.page.conftest import SAMPLE_TEXT, Visitor, record
from tests.running_stack import RunningStack

pytestmark = pytest.mark.browser
DONE = "#copy:not([hidden])"


@pytest.fixture(scope="module")
def demo_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack with the bundled model."""
    running = RunningStack(tmp_path_factory.mktemp("demo"), "demo")
    try:
        running.wait_ready()
        yield running
    finally:
        running.stop()


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def test_the_sample_is_understood_and_the_demo_is_called_one(
    visitor: Visitor, demo_stack: RunningStack
) -> None:
    page = visitor.open(demo_stack.url)
    expect(page.locator("#demo")).to_contain_text("only synthetic Swedish speech")
    page.click("#sample")
    page.wait_for_selector(DONE)
    heard = words(page.locator("#segments").inner_text())
    assert len(heard & words(SAMPLE_TEXT)) >= 0.6 * len(words(SAMPLE_TEXT)), heard


def test_a_recording_from_the_microphone_is_understood(
    visitor: Visitor, demo_stack: RunningStack
) -> None:
    page = visitor.open(demo_stack.url)
    record(page, 9)
    page.click("#record-stop")
    page.wait_for_selector(DONE)
    heard = words(page.locator("#segments").inner_text())
    # The microphone begins anywhere in the text, which it hears once at least.
    assert len(heard & words(SAMPLE_TEXT)) >= 0.5 * len(words(SAMPLE_TEXT)), heard


def test_the_terminal_says_what_the_demo_knows_and_how_to_get_a_real_model(
    demo_stack: RunningStack,
) -> None:
    demo_stack.stop()
    told = "\n".join(demo_stack.lines)
    assert "knows only synthetic Swedish speech" in told
    assert "--model KBLab/kb-whisper-small" in told
    assert "/v1/audio/transcriptions" in told
