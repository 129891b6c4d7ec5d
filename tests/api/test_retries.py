"""POST /v1/jobs/{id}/retry: another job on the same recording."""

from typing import Any

import httpx
import pytest

from services.contract.schema import ErrorInfo
from tests.api.running_api import RunningApi
from tests.api.scripted_worker import ScriptedWorker
from tests.api.test_jobs import create, ended


def test_a_retry_is_a_new_job_on_the_same_recording(
    client: httpx.Client, worker: ScriptedWorker, api: RunningApi
) -> None:
    worker.fail_with = ErrorInfo(code="worker_lost", message="The worker died.")
    first = create(client, language="sv").json()
    assert ended(client, first["id"])["error"]["code"] == "worker_lost"
    worker.fail_with = None
    second = client.post(first["links"]["retry"], json={"language": "en", "keywords[]": ["Åsa"]})
    assert second.status_code == 202
    job = second.json()
    assert job["id"] != first["id"]
    assert job["options"]["language"] == "en"
    assert job["options"]["hotwords"] == "Åsa"
    assert ended(client, job["id"])["status"] == "succeeded"
    assert len(api.stored()) == 1
    client.delete(first["links"]["self"])
    assert len(api.stored()) == 1
    assert client.post(job["links"]["retry"]).json()["options"]["language"] == "en"


def test_an_idempotency_key_makes_one_retry(client: httpx.Client) -> None:
    first, other = create(client).json(), create(client).json()

    def retry(job: dict[str, Any], key: str = "abc", **options: str) -> httpx.Response:
        headers = {"Idempotency-Key": key}
        return client.post(job["links"]["retry"], json=options, headers=headers)

    made, again = retry(first), retry(first)
    assert made.json()["id"] == again.json()["id"]
    assert "idempotency-replayed" not in made.headers
    assert again.headers["idempotency-replayed"] == "true"
    for conflict in (retry(first, language="en"), retry(other)):
        assert conflict.status_code == 422
        assert conflict.json()["error"]["code"] == "idempotency_conflict"
    assert retry(first, "x" * 256).json()["error"]["param"] == "Idempotency-Key"
    assert len(client.get("/v1/jobs").json()["data"]) == 3


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"prompt": "\\ud800"}', "application/json", 400),
        (b"[" * 20_000, "application/json", 400),
        (b"x", "text/plain", 415),
    ],
)
def test_a_retry_with_a_bad_body_is_refused(
    client: httpx.Client, body: bytes, content_type: str, status: int
) -> None:
    job = create(client).json()
    headers = {"content-type": content_type}
    assert client.post(job["links"]["retry"], content=body, headers=headers).status_code == status


def test_a_retry_reads_its_options_from_the_query_too(client: httpx.Client) -> None:
    job = create(client, language="sv").json()
    query = {"language": "en", "prompt": "Hej", "langage": "fi"}
    answer = client.post(job["links"]["retry"], params=query, json={"prompt": "Då"})
    options = answer.json()["options"]
    assert (options["language"], options["initial_prompt"]) == ("en", "Då"), "the body wins"
    assert answer.headers["x-ignored-fields"] == "langage"


@pytest.mark.parametrize("given", [{"priority": "bulk"}, {"batch": "b"}, {"unknown": "1"}])
def test_what_is_no_option_leaves_the_options_as_they_were(
    client: httpx.Client, given: dict[str, str]
) -> None:
    job = create(client, language="sv", beam_size="1").json()
    again = client.post(job["links"]["retry"], json=given).json()
    assert again["options"] == job["options"]
    assert again["batch"] == given.get("batch")
    assert again["priority"] == given.get("priority", "interactive")
