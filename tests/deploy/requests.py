"""What a caller of the stack does: send a recording, ask for its job, wait for its end."""

from pathlib import Path

import httpx

from tests.deploy.containers import Stack
from tests.waiting import wait_until


def submit(stack: Stack, recording: Path, **fields: str) -> str:
    """Send a recording; return the id of its job."""
    with recording.open("rb") as file:
        answer = httpx.post(f"{stack.url}/v1/jobs", files={"file": file}, data=fields, timeout=300)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def job(stack: Stack, job_id: str) -> dict[str, object]:
    """Return a job as the API shows it."""
    answer = httpx.get(f"{stack.url}/v1/jobs/{job_id}", timeout=300)
    answer.raise_for_status()
    return dict(answer.json())


def wait_for(stack: Stack, job_id: str, status: str) -> None:
    """Wait until a job has this status."""
    wait_until(lambda: job(stack, job_id)["status"] == status, what=f"job {status}")
