"""The page while the service does not answer, answers late, or refuses."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from services.client.client import Client
from tests.page.conftest import Visitor
from tests.running_stack import RunningStack
from tests.tiny_model import SENTENCE

pytestmark = pytest.mark.browser
EXPIRED = json.dumps({"error": {"code": "transcript_expired", "message": "It is gone."}})

#: The first stream of events says nothing, and long times are short.
SILENT = """
const [ask, wait] = [fetch, setTimeout];
let isFirst = true;
window.setTimeout = (run, ms) => wait(run, ms > 20000 ? 1000 : ms);
window.fetch = (path, details) => {
  if (!isFirst || !path.endsWith("/events")) return ask(path, details);
  isFirst = false;
  return Promise.resolve(new Response(new ReadableStream()));
};
"""


def try_sample(page: Page) -> None:
    page.click("#sample")
    expect(page.locator("#segments")).to_contain_text(SENTENCE)


def test_a_page_whose_parts_do_not_all_arrive_is_loaded_anew(
    visitor: Visitor, stack: RunningStack
) -> None:
    page = visitor.new_tab()
    # As when the network changes: Chromium then breaks off all that is on its way.
    page.route("**/say.js", lambda route: route.abort(), times=2)
    page.goto(stack.url)
    page.wait_for_selector("main[aria-busy=false]")
    try_sample(page)


def test_a_page_whose_parts_never_arrive_says_so_and_is_left_alone(
    visitor: Visitor, stack: RunningStack
) -> None:
    page = visitor.new_tab()
    loads: list[str] = []
    page.on("load", lambda _: loads.append(page.url))
    page.route("**/say.js", lambda route: route.abort())
    page.goto(stack.url)
    expect(page.locator("#trouble")).to_contain_text("reload")
    assert len(loads) == 4
    page.unroute("**/say.js")
    page.reload()
    try_sample(page)


def test_without_scripts_the_page_says_what_it_needs(browser: Browser, stack: RunningStack) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(stack.url)
        expect(page.locator("noscript p")).to_contain_text("needs JavaScript")


def test_a_transcript_that_cannot_be_fetched_comes_when_the_service_is_back(page: Page) -> None:
    try_sample(page)
    page.route("**/transcript?*", lambda route: route.abort())
    page.reload()
    expect(page.locator("#trouble")).to_contain_text("does not answer")
    # Nothing would be copied in the place of what the clipboard holds.
    expect(page.locator("#copy")).to_be_disabled()
    page.unroute("**/transcript?*")
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    expect(page.locator("#trouble")).to_be_hidden()
    expect(page.locator("#copy")).to_be_enabled()


def test_a_proxy_that_does_not_find_the_service_costs_no_history(page: Page) -> None:
    """As while the service is made anew behind it: its 404 says nothing about a job."""
    try_sample(page)
    lost = {"status": 404, "content_type": "text/html", "body": "<h1>404 page not found</h1>"}
    page.route("**/v1/**", lambda route: route.fulfill(**lost))
    page.reload()
    expect(page.locator("#trouble")).to_contain_text("status 404")
    page.unroute("**/v1/**")
    page.route("**/v1/jobs/*", lambda route: route.fulfill(**lost))
    with page.expect_response("**/v1/jobs/*"):
        pass
    page.unroute("**/v1/jobs/*")
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    expect(page.locator("#trouble")).to_be_hidden()


def test_the_recording_in_the_address_is_shown_while_others_are_fetched(
    page: Page, stack: RunningStack
) -> None:
    try_sample(page)
    page.click("#retry")
    expect(page.locator(".job")).to_have_count(2)
    page.wait_for_selector("#copy:enabled")
    newest, oldest = page.locator(".job").evaluate_all("(items) => items.map((i) => i.dataset.id)")
    held: list[Route] = []
    page.route(f"**/v1/jobs/{newest}", lambda route: held.append(route))
    page.goto(f"{stack.url}#job/{oldest}")
    page.reload()
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    expect(page.locator(".job")).to_have_count(1)
    held.pop().continue_()
    expect(page.locator(".job")).to_have_count(2)
    expect(page.locator(".job >> nth=1").locator("> button")).to_have_attribute(
        "aria-current", "true"
    )


def test_what_breaks_off_once_is_asked_for_again(page: Page) -> None:
    for path in ("**/sample.mp3", "**/events", "**/transcript?*"):
        page.route(path, lambda route: route.abort(), times=1)
    troubles = page.evaluate_handle("""() => {
        const seen = [];
        const look = () => seen.push(trouble.textContent);
        new MutationObserver(look).observe(trouble, { childList: true });
        return seen;
    }""")
    try_sample(page)
    assert not any(troubles.json_value())


def test_a_job_whose_events_do_not_come_says_so_until_they_do(page: Page) -> None:
    page.route("**/events", lambda route: route.abort())
    page.click("#sample")
    expect(page.locator("#trouble")).to_contain_text("does not answer")
    page.unroute("**/events")
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    expect(page.locator("#trouble")).to_be_hidden()


def test_looking_at_another_recording_before_the_first_has_come_is_no_trouble(page: Page) -> None:
    try_sample(page)
    page.click("#retry")
    expect(page.locator(".job")).to_have_count(2)
    held: list[Route] = []
    page.route("**/transcript?*", lambda route: held.append(route))
    page.reload()
    page.click(".job >> nth=1")
    page.click(".job >> nth=0")
    page.unroute("**/transcript?*")
    page.click(".job >> nth=1")
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    assert held
    expect(page.locator("#trouble")).to_be_hidden()


def test_why_a_button_did_nothing_stays_while_other_jobs_go_on(
    page: Page, stack: RunningStack
) -> None:
    try_sample(page)
    worker = stack.children()["services.worker"]
    worker.suspend()
    try:
        page.click("#retry")
        expect(page.locator("#state-text")).to_contain_text("Waiting")
        page.click(".job >> nth=1")
        page.route(
            "**/transcript?format=srt", lambda route: route.fulfill(status=410, body=EXPIRED)
        )
        page.click("[data-format=srt]")
        expect(page.locator("#trouble")).to_have_text("It is gone.")
        for _ in range(2):
            page.wait_for_event("requestfinished", lambda request: "/v1/jobs/" in request.url)
        page.wait_for_timeout(200)
        expect(page.locator("#trouble")).to_have_text("It is gone.")
    finally:
        worker.resume()


def test_what_is_wrong_is_seen_far_down_until_another_recording_is_chosen(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    try_sample(page)
    page.click("#retry")
    expect(page.locator(".job")).to_have_count(2)
    page.wait_for_selector("#copy:enabled")
    page.evaluate("document.getElementById('segments').style.paddingBottom = '3000px'")
    page.route("**/transcript?format=srt", lambda route: route.fulfill(status=410, body=EXPIRED))
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.evaluate("document.querySelector('[data-format=srt]').click()")
    expect(page.locator("#trouble")).to_be_in_viewport(ratio=1)
    page.click(".job >> nth=1")
    expect(page.locator("#trouble")).to_be_hidden()


def test_an_outage_is_not_over_when_another_recording_is_chosen(page: Page) -> None:
    try_sample(page)
    page.click("#retry")
    expect(page.locator(".job")).to_have_count(2)
    page.wait_for_selector("#copy:enabled")
    page.route("**/transcript?*", lambda route: route.abort())
    page.reload()
    expect(page.locator(".job")).to_have_count(2)
    expect(page.locator("#trouble")).to_contain_text("does not answer")
    other = page.locator(".job > button[aria-current=false]")
    assert other.evaluate("(button) => { button.click(); return trouble.checkVisibility(); }")


def test_a_folder_that_is_dropped_is_called_one(
    visitor: Visitor, stack: RunningStack, tmp_path: Path
) -> None:
    page = visitor.open(stack.url)
    page.wait_for_selector("#model:not([hidden])")
    mouse = visitor.context.new_cdp_session(page)
    for step in ("dragEnter", "dragOver", "drop"):
        data = {"items": [], "files": [str(tmp_path)], "dragOperationsMask": 1}
        mouse.send("Input.dispatchDragEvent", {"type": step, "x": 9, "y": 9, "data": data})
    expect(page.locator(".about.bad")).to_contain_text("It is a folder")
    expect(page.locator(".job .row button")).to_have_text(["Save", "Remove"])


def test_a_connection_that_is_silent_is_given_up_and_made_anew(
    visitor: Visitor, stack: RunningStack
) -> None:
    # As after a sleep, or in another network: nobody says that the connection is gone.
    visitor.context.add_init_script(SILENT)
    page = visitor.open(stack.url)
    try_sample(page)


def test_the_player_is_back_when_the_service_is(page: Page) -> None:
    try_sample(page)
    page.route("**/audio", lambda route: route.abort())
    page.reload()
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    expect(page.locator("#player")).to_be_hidden()
    page.unroute("**/audio")
    expect(page.locator("#player")).to_be_visible()


def test_a_recording_that_has_expired_has_no_player_and_is_not_asked_for_again(page: Page) -> None:
    try_sample(page)
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.method)
        route.fulfill(status=410, body=EXPIRED)

    page.route("**/audio", refuse)
    page.reload()
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    expect(page.locator("#player")).to_be_hidden()
    page.wait_for_timeout(3000)
    assert asked == ["GET", "HEAD"]


def test_an_upload_that_breaks_off_while_the_service_answers_says_what_it_may_be(
    page: Page,
) -> None:
    page.route("**/v1/jobs", lambda route: route.abort())
    page.click("#sample")
    expect(page.locator(".about.bad")).to_contain_text("too large")
    expect(page.locator(".job .row button")).to_have_text(["Send again", "Save", "Remove"])


def test_a_job_that_was_deleted_elsewhere_can_be_deleted_here(
    page: Page, stack: RunningStack
) -> None:
    try_sample(page)
    with Client(stack.url) as client:
        client.delete(page.evaluate("location.hash.slice('#job/'.length)"))
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("#delete")
    expect(page.locator("#no-jobs")).to_be_visible()
    expect(page.locator("#trouble")).to_be_hidden()
