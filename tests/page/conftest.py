"""Real Chromium, fed with speech instead of a microphone, in front of a real stack."""

import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect, sync_playwright

from tests.running_stack import RunningStack

#: A machine that runs other tests too is slow now and then.
expect.set_options(timeout=180_000)

CHROMIUM = "/usr/bin/chromium"
#: A name that is not this machine's: browsers do not trust it with a microphone.
FOREIGN_HOST = "stt.example"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    f"--host-resolver-rules=MAP {FOREIGN_HOST} 127.0.0.1",
)
SAMPLE_TEXT = "I morgon blir det regn i Uppsala."


@pytest.fixture(scope="session")
def microphone(speech: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the fake microphone hears: the sample's words, then silence, over and over."""
    with wave.open(str(speech(SAMPLE_TEXT))) as spoken:
        parameters, samples = spoken.getparams(), spoken.readframes(spoken.getnframes())
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    with wave.open(str(path), "wb") as heard:
        heard.setparams(parameters)
        heard.writeframes(samples + bytes(2 * parameters.framerate * 2))
    return path


@pytest.fixture(scope="package")
def browser(microphone: Path) -> Iterator[Browser]:
    """Chromium with a fake microphone, for all tests here: no other could run an event loop."""
    arguments = [*ARGUMENTS, f"--use-file-for-fake-audio-capture={microphone}"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


class Visitor:
    """Somebody with a browser of their own; notes every complaint that a page makes."""

    def __init__(self, browser: Browser) -> None:
        """Come for the first time."""
        self.context = browser.new_context(accept_downloads=True)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.complaints: list[str] = []

    def open(self, url: str, *, width: int = 1280, height: int = 860) -> Page:
        """Open the page in a new tab; return when all its parts have arrived."""
        page = self.new_tab(width=width, height=height)
        try:
            page.goto(url)
        except Error as error:  # Containers that other tests start and end change the network.
            if "ERR_NETWORK_CHANGED" not in str(error):
                raise
            page.goto(url)
        page.wait_for_selector("main[aria-busy=false]")
        return page

    def new_tab(self, *, width: int = 1280, height: int = 860) -> Page:
        """Open an empty tab whose page will be listened to."""
        page = self.context.new_page()
        page.set_default_timeout(180_000)
        page.set_viewport_size({"width": width, "height": height})
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._note)
        return page

    def _note(self, message: ConsoleMessage) -> None:
        # A refused request is told twice, here and to the page, whose answer is what counts.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)


#: An arrow function: an expression would be evaluated at each look, which the policy forbids.
HAS_RECORDED = """(seconds) => {
    const [minutes, rest] = document.getElementById("record-clock").textContent.split(":");
    return 60 * Number(minutes) + Number(rest) >= seconds;
}"""


def record(page: Page, seconds: int) -> None:
    """Begin to record; return when the clock shows so many seconds, or more: a look may be late."""
    page.click("#record")
    page.wait_for_function(HAS_RECORDED, arg=seconds)


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visitor]:
    """A visitor whose pages must not complain: no script error, no breach of the policy."""
    somebody = Visitor(browser)
    yield somebody
    somebody.context.close()
    assert not somebody.complaints


@pytest.fixture
def page(visitor: Visitor, stack: RunningStack) -> Page:
    """The page of the stack with the tiny model, ready for use."""
    opened = visitor.open(stack.url)
    opened.wait_for_selector("#model:not([hidden])")
    return opened
