"""The page in browsers other than the usual one: what they cannot do, or do not allow."""

import pytest
from playwright.sync_api import expect

from tests.page.conftest import Visitor
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
