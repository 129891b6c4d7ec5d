"""The page in browsers other than the usual one: what they cannot do, or do not allow."""

import pytest
from playwright.sync_api import expect

from tests.page.conftest import Visitor
from tests.running_stack import RunningStack

pytestmark = pytest.mark.browser
#: Firefox takes both kinds, and Chromium must do as if it did.
RECORDS_OGG = """
MediaRecorder = class extends MediaRecorder {
  constructor(stream) { super(stream); }
  static isTypeSupported(kind) { return /webm|ogg/.test(kind); }
};
"""



def test_where_ogg_can_be_recorded_it_is(visitor: Visitor, stack: RunningStack) -> None:
    visitor.context.add_init_script(RECORDS_OGG)
    page = visitor.open(stack.url)
    page.click("#record")
    page.click("#record-stop")
    expect(page.locator("#viewer-title")).to_contain_text(".ogg")
