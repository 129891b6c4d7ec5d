import contextvars

import pytest
from rq.timeouts import JobTimeoutException

from services.contract.errors import TranscriptionTimeoutError
from services.worker.job_token import (
    CooperativeDeadline,
    JobInterrupted,
    JobLost,
    JobToken,
    current_token,
    token_of_this_thread,
)


def test_the_first_reason_to_stop_wins() -> None:
    token = JobToken("run")
    token.check()
    token.stop(JobLost("a"))
    token.stop(JobInterrupted("b"))
    with pytest.raises(JobLost):
        token.check()


def test_rqs_timeout_becomes_the_deadline_and_ends_with_the_job() -> None:
    def run() -> None:
        token = JobToken("run")
        current_token.set(token)
        assert token_of_this_thread() is token
        with CooperativeDeadline(0, JobTimeoutException, job_id="job"):
            with pytest.raises(TranscriptionTimeoutError):
                token.check()
        token.check()

    contextvars.copy_context().run(run)


def test_another_worker_class_gets_a_fence_of_its_own() -> None:
    assert token_of_this_thread().execution_id != token_of_this_thread().execution_id
