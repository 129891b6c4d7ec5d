"""A job's view with what only the queue knows: its place in line, and how long it will take."""

from services.api.job_view import JobView, job_view
from services.api.service import Service
from services.contract.schema import Job


def placed_view(service: Service, job: Job) -> JobView:
    """Return the view of a job with its place and estimate. Sync.

    Raises:
        QueueUnavailableError: Redis does not answer.
    """
    if job.status.is_terminal:
        return job_view(job)
    return job_view(job, service.queue.position(job), service.queue.estimate(job))
