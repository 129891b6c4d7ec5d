"""One job in flight: RQ's record of it, the only function it may call, and its token."""

from dataclasses import dataclass
from typing import Any

from rq import Queue
from rq.executions import Execution
from rq.job import Job

from services.contract.rq_record import TASK
from services.worker.job_token import JobToken


class TranscriptionJob(Job):
    """An RQ job that runs our task and nothing else, whatever somebody wrote into Redis.

    JSON alone does not protect: RQ imports any function by the name it finds in the record.
    """

    success_callback = failure_callback = stopped_callback = None

    @property
    def func(self) -> Any:
        """The task.

        Raises:
            PermissionError: the record names something else.
        """
        if self.func_name != TASK or self.instance:
            raise PermissionError(f"{self.func_name!r} is not a task of this worker")
        return super().func


@dataclass
class Run:
    """One job in flight."""

    job: Job
    queue: Queue
    execution: Execution
    token: JobToken

    @property
    def lane(self) -> str:
        """The name of the queue that it came from."""
        return str(self.queue.name)
