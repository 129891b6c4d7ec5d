"""Recordings on their way in: they wait their turn, can be stopped, and leave nothing behind."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Page, Route, expect

from services.client.client import Client
from tests.page.conftest import Visitor, record
from tests.running_stack import RunningStack
from tests.tiny_model import SENTENCE
from tests.waiting import wait_until

pytestmark = pytest.mark.browser
Speech = Callable[..., Path]

MIB = 1024**2


@pytest.fixture
def slow_page(visitor: Visitor, stack: RunningStack) -> Page:
    """The page behind a line that takes 1 MiB/s."""
    opened = visitor.open(stack.url)
    opened.wait_for_selector("#model:not([hidden])")
    line = visitor.context.new_cdp_session(opened)
    line.send("Network.enable")
    rates = {"downloadThroughput": -1, "uploadThroughput": MIB}
    line.send("Network.emulateNetworkConditions", {"offline": False, "latency": 0, **rates})
    return opened


@pytest.fixture
def large(tmp_path: Path) -> list[str]:
    """Three files that take a minute each on that line."""
    paths = [tmp_path / f"{name}.wav" for name in ("one", "two", "three")]
    for path in paths:
        path.write_bytes(bytes(60 * MIB))
    return [str(path) for path in paths]


def halves(stack: RunningStack) -> list[Path]:
    """What the service keeps of recordings that have not arrived as a whole."""
    return list((stack.data_dir / "audio").rglob(".*.part"))


def n_jobs(stack: RunningStack) -> int:
    with Client(stack.url) as client:
        return len(list(client.jobs()))


def test_what_waits_its_turn_says_so(slow_page: Page, large: list[str]) -> None:
    slow_page.set_input_files("#files", large)
    about = slow_page.locator(".about")
    expect(about).to_have_text(["Waiting to be sent", *2 * [re.compile("Sending, [1-9]")]])
    expect(slow_page.locator(".job >> nth=0").locator("progress")).to_have_count(0)
    slow_page.click(".job >> nth=0")
    expect(slow_page.locator("#state-text")).to_have_text("Waiting to be sent")
    expect(slow_page.locator("#state-bar")).to_be_hidden()


def test_uploads_can_be_stopped_and_taken_off_and_nothing_stays(
    slow_page: Page, stack: RunningStack, large: list[str]
) -> None:
    jobs = n_jobs(stack)
    slow_page.set_input_files("#files", large)
    expect(slow_page.locator(".job >> nth=2")).to_contain_text(re.compile("Sending, [2-9]"))
    assert slow_page.locator(".job .row button").all_inner_texts() == 3 * ["Cancel"]
    wait_until(lambda: bool(halves(stack)), what="the first bytes")
    # The one that waits, then the one that is looked at.
    slow_page.click(".job >> nth=0 >> text=Cancel")
    expect(slow_page.locator(".job")).to_have_count(2)
    slow_page.click("#cancel")
    expect(slow_page.locator(".job")).to_have_count(1)
    expect(slow_page.locator("#announcer")).to_have_text("one.wav: Canceled")
    expect(slow_page.locator("#transcript")).to_be_focused()
    slow_page.click(".job >> text=Cancel")
    expect(slow_page.locator("#no-jobs")).to_be_visible()
    wait_until(lambda: not halves(stack), what="an empty store")
    assert n_jobs(stack) == jobs


def test_after_the_wrong_ones_are_stopped_the_right_one_is_sent(
    slow_page: Page, speech: Speech, large: list[str]
) -> None:
    slow_page.set_input_files("#files", [*large, str(speech("hej"))])
    expect(slow_page.locator(".job >> nth=3")).to_contain_text(re.compile("Sending, [1-9]"))
    for path in large:
        slow_page.locator(".job", has_text=Path(path).name).get_by_text("Cancel").click()
    expect(slow_page.locator(".job")).to_have_count(1)
    slow_page.click(".job")
    expect(slow_page.locator("#segments")).to_contain_text(SENTENCE)


def test_what_the_service_has_no_room_for_keeps_its_turn(page: Page, speech: Speech) -> None:
    """As when a key has as many unfinished jobs as it may have; nobody has to send it again."""
    error = {"message": "try again later", "code": "concurrency_limit_exceeded"}
    refusal = {"status": 429, "headers": {"Retry-After": "1"}, "json": {"error": error}}
    page.route("**/v1/jobs", lambda route: route.fulfill(**refusal))
    page.set_input_files("#files", [str(speech(words)) for words in ("hej", "nej")])
    about = page.locator(".about")
    expect(about).to_have_text(2 * ["Waiting: the service takes no more at the moment"])
    page.click(".job >> nth=0 >> text=Cancel")
    expect(page.locator(".job")).to_have_count(1)
    page.unroute("**/v1/jobs")
    page.click(".job")
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    expect(page.locator(".job")).to_have_count(1)


def test_a_restart_of_the_api_fails_none_of_many_uploads(
    page: Page, stack: RunningStack, speech: Speech
) -> None:
    jobs, n_files = n_jobs(stack), 30
    spoken = speech("hej").read_bytes()
    files = [
        FilePayload(name=f"{i}.wav", mimeType="audio/wav", buffer=spoken) for i in range(n_files)
    ]
    with page.expect_response("**/v1/jobs"):
        page.set_input_files("#files", files)
    stack.children()["services.api"].kill()
    # While one is on its way it can be stopped, and what failed can be sent again.
    expect(page.locator(".job")).to_have_count(n_files)
    expect(page.locator(".job .row")).to_have_count(0)
    expect(page.locator(".about.bad")).to_have_count(0)
    assert n_jobs(stack) == jobs + n_files


def test_an_upload_whose_answer_is_lost_is_sent_again_and_is_one_job(
    page: Page, stack: RunningStack, speech: Speech
) -> None:
    jobs = n_jobs(stack)
    keys: list[str] = []

    def lose(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
            route.abort()
        elif len(keys) == 2:
            route.fulfill(status=503, headers={"Retry-After": "2"})
        else:
            route.continue_()

    page.route("**/v1/jobs", lose)
    page.set_input_files("#files", str(speech("hej")))
    expect(page.locator("#segments")).to_contain_text(SENTENCE)
    expect(page.locator(".job")).to_have_count(1)
    assert len(keys) == 3 and len(set(keys)) == 1
    assert n_jobs(stack) == jobs + 1


def test_what_is_sent_while_nobody_answers_waits_until_somebody_does(
    page: Page, speech: Speech
) -> None:
    """As on a train, for longer than anybody would try."""
    for address in ("**/v1/jobs", "**/readyz"):
        page.route(address, lambda route: route.abort())
    with page.expect_request("**/readyz"):
        page.set_input_files("#files", str(speech("hej")))
    expect(page.locator(".about")).to_have_text("Waiting: the service does not answer")
    with page.expect_request("**/readyz"):  # It was tried again.
        pass
    page.unroute("**/readyz")
    page.unroute("**/v1/jobs")
    expect(page.locator("#segments")).to_contain_text(SENTENCE)


def test_what_is_stopped_when_all_of_it_was_sent_becomes_no_job(
    page: Page, stack: RunningStack, speech: Speech
) -> None:
    jobs = n_jobs(stack)
    api = stack.children()["services.api"]
    api.suspend()
    try:
        page.set_input_files("#files", str(speech("hej")))
        expect(page.locator("#state-text")).to_have_text("The service looks at the recording")
        page.click("#cancel")
        expect(page.locator("#no-jobs")).to_be_visible()
    finally:
        with page.expect_request_finished(lambda request: request.method == "DELETE"):
            api.resume()
    expect(page.locator("#no-jobs")).to_be_visible()
    assert n_jobs(stack) == jobs


def test_a_recording_whose_upload_is_stopped_is_still_offered(slow_page: Page) -> None:
    held: list[Route] = []
    slow_page.route("**/v1/jobs", lambda route: held.append(route))
    record(slow_page, 2)
    slow_page.click("#record-stop")
    slow_page.click("#cancel")
    expect(slow_page.locator(".about.bad")).to_contain_text("canceled")
    expect(slow_page.locator(".job .row button")).to_have_text(["Send again", "Save", "Remove"])
    slow_page.unroute("**/v1/jobs")
    slow_page.click("text=Send again")
    expect(slow_page.locator("#segments")).to_contain_text(SENTENCE)


def test_the_keyboard_stays_in_the_list_when_its_button_goes_away(
    page: Page, speech: Speech
) -> None:
    page.route("**/v1/jobs", lambda route: route.abort())
    page.set_input_files("#files", [str(speech(word)) for word in ("ett", "två", "tre")])
    expect(page.locator(".about.bad")).to_have_count(3)
    of = page.locator(".job")
    name = of.nth(1).locator(".name").inner_text()
    of.nth(1).get_by_text("Send again").press("Enter")
    expect(of.nth(1)).to_contain_text(name)
    expect(of.nth(1).locator("> button")).to_be_focused()
    expect(page.locator(".about.bad")).to_have_count(3)
    page.keyboard.press("Tab")
    expect(of.nth(1).get_by_text("Send again")).to_be_focused()
    of.nth(2).get_by_text("Remove").press("Enter")
    expect(of).to_have_count(2)
    expect(of.nth(1).locator("> button")).to_be_focused()
    of.nth(0).get_by_text("Remove").press("Enter")
    expect(of).to_have_count(1)
    expect(of.nth(0).locator("> button")).to_be_focused()
    of.nth(0).get_by_text("Remove").press("Enter")
    expect(page.locator("#transcript")).to_be_focused()


def test_the_keyboard_stays_on_an_upload_that_becomes_a_job(page: Page, speech: Speech) -> None:
    held: list[Route] = []
    page.route("**/v1/jobs", lambda route: held.append(route))
    page.set_input_files("#files", [str(speech(word)) for word in ("ett", "två")])
    while len(held) < 2:
        page.wait_for_timeout(50)
    last = page.locator(".job >> nth=1")
    last.get_by_text("Cancel").focus()
    name = last.locator(".name").inner_text()
    next(
        route for route in held if name.encode() in (route.request.post_data_buffer or b"")
    ).continue_()
    expect(page.locator(".job .row button")).to_have_count(1)
    item = page.locator(".job", has_text=name).locator("> button")
    expect(item).to_be_focused()
    item.press("Enter")
    expect(page.locator("#viewer-title")).to_have_text(name)
    expect(page.locator("#segments")).to_contain_text(SENTENCE)


def test_what_is_larger_than_the_service_takes_is_not_sent(page: Page, tmp_path: Path) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.method} {request.url}"))
    with (tmp_path / "film.wav").open("wb") as film:
        film.truncate(2 * 1024**3 + 1)
    page.set_input_files("#files", str(tmp_path / "film.wav"))
    expect(page.locator(".about.bad")).to_contain_text("larger than 2 GiB")
    expect(page.locator("#announcer")).to_contain_text("film.wav could not be sent")
    expect(page.locator(".job .row button")).to_have_text(["Save", "Remove"])
    assert not [request for request in sent if request.startswith("POST")]


def test_what_is_larger_than_a_proxy_lets_through_says_so(page: Page, speech: Speech) -> None:
    """As nginx answers for more than 1 MiB, as long as nobody has told it another limit."""
    body = "<html><head><title>413 Request Entity Too Large</title></head></html>"
    refusal = {"status": 413, "content_type": "text/html", "body": body}
    page.route("**/v1/jobs", lambda route: route.fulfill(**refusal))
    page.set_input_files("#files", str(speech("hej")))
    expect(page.locator(".about.bad")).to_contain_text("larger than a proxy before this service")
    expect(page.locator(".job .row button")).to_have_text(["Save", "Remove"])
