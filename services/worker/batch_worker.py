"""An RQ worker that runs many ordinary RQ jobs at once, in threads, over one batching engine.

The main thread claims jobs and sweeps; a pool of threads runs them; keeper.py renews leases.
RQ's records of each job are written by RQ's own code (`perform_job`), which is why rq is pinned
to one minor version.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import FrameType
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import NoSuchJobError
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import WorkerStatus

from services.contract.errors import JobNotFoundError, QueueUnavailableError
from services.contract.job_store import JobStore
from services.contract.redis_client import text
from services.contract.schema import Lane
from services.contract.stop_signals import on_stop
from services.worker.job_token import (
    CooperativeDeadline,
    JobInterrupted,
    JobLost,
    JobToken,
    current_token,
)
from services.worker.keeper import Keeper, Watchdog
from services.worker.runs import Run, TranscriptionJob
from services.worker.sweeper import Sweeper

logger = logging.getLogger(__name__)

#: Longest wait for an interactive job, and so for a bulk one, a stop signal or a sweep.
_CLAIM_S = 0.5
_SWEEP_S = 1.0
_REDIS_PAUSE_S = 1.0
#: More windows than a run has under way: a suspect that did so many is past where its worker died.
_PAST_WINDOWS = 32
#: After SIGTERM jobs get this long to end by themselves, then to stop; docker kills after 10 s.
_GRACE_S = 2.0
_STOP_S = 5.0
_LEAVE_S = 9.0


@dataclass(frozen=True)
class WorkerLimits:
    """How much a worker takes on, and how long others wait before they call it dead."""

    slots: int
    interactive_slots: int
    lease_s: float


class BatchWorker(SimpleWorker):
    """Claims from both lanes, interactive first; `serve` returns after a stop signal."""

    death_penalty_class = CooperativeDeadline
    job_class = TranscriptionJob

    def __init__(
        self,
        connection: Redis,
        store: JobStore,
        sweeper: Sweeper,
        limits: WorkerLimits,
        *,
        beat: Callable[[int], None] = lambda n_busy: None,
        hangs: Callable[[], bool] = lambda: False,
    ) -> None:
        """Wire the worker; `serve` starts it.

        Args:
            beat: called with every heartbeat, with the number of jobs in flight.
            hangs: asked every second; True ends the process.
        """
        super().__init__(
            [lane.value for lane in (Lane.INTERACTIVE, Lane.BULK)],
            connection=connection,
            serializer=JSONSerializer,
            job_class=TranscriptionJob,
            worker_ttl=25,
            log_job_description=False,
        )
        self._store = store
        self._sweeper = sweeper
        self._limits = limits
        self._beat = beat
        self._hangs = hangs
        self._pool = ThreadPoolExecutor(limits.slots, thread_name_prefix="job")
        self._runs: dict[str, Run] = {}
        self._alone: str | None = None
        self._innocent_at = 0
        self._changed = threading.Condition()
        self._swept_at = 0.0
        self._leave_at = float("inf")

    def serve(self) -> None:
        """Claim and run jobs until a signal asks to stop; then give back what is not done."""
        Watchdog(self._hangs, self.overstays).start()
        self._install_signal_handlers()
        self.register_birth()  # type: ignore[no-untyped-call]
        keeper = Keeper(self.renew, self.hear_cancellations, lease_s=self._limits.lease_s)
        keeper.start()
        while not self._stop_requested:
            try:
                self._turn()
                self._sweeper.redis_answered()
            except (RedisError, QueueUnavailableError) as error:
                if self._sweeper.redis_failed():  # one line for an outage of hours
                    logger.error("Redis takes no work: %s", error)
                time.sleep(_REDIS_PAUSE_S)
        try:
            self.teardown()
            self.register_death()  # type: ignore[no-untyped-call]
        except (RedisError, QueueUnavailableError) as error:
            logger.warning("stopped without a word to Redis, leases do the rest: %s", error)
        keeper.stop()

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Note the signal, no more: a handler may run in the middle of anything."""
        if not self._stop_requested:
            self._stop_requested = True
            self._leave_at = time.monotonic() + _LEAVE_S

    def overstays(self) -> bool:
        """Whether a stop takes too long, as when Redis does not answer the last words."""
        return time.monotonic() >= self._leave_at

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """Return the lease: another worker takes the job over when it runs out."""
        return int(self._limits.lease_s)

    def prepare_job_execution(self, job: Job, remove_from_intermediate_queue: bool = False) -> None:
        """Mark the job as started; it always leaves the intermediate list here at the latest."""
        super().prepare_job_execution(job, True)

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Log a job that RQ calls failed: our own tasks never are, they store their error."""
        logger.error("RQ could not run the job", extra={"job_id": job.id}, exc_info=exc_info)

    def _turn(self) -> None:
        now = time.monotonic()
        if now - self._swept_at > _SWEEP_S:
            self._swept_at = now
            self._sweeper.sweep()
        if self._alone:
            self._acquit(self._alone)
        claimed = self._claim()
        if claimed is not None:
            self._execute(*claimed)

    def _claim(self) -> tuple[Job, Queue] | None:
        """Move one waiting job to its intermediate list and return it."""
        interactive, bulk = self.queues
        with self._changed:
            n_bulk = sum(run.lane == bulk.name for run in self._runs.values())
            if self._alone or len(self._runs) >= self._limits.slots:
                self._changed.wait(_CLAIM_S)
                return None
        takes_bulk = n_bulk < max(1, self._limits.slots - self._limits.interactive_slots)
        for queue in [interactive, bulk] if takes_bulk else [interactive]:
            moved = self.connection.lmove(queue.key, queue.intermediate_queue.key)
            if moved is not None:
                return self._fetch(queue, moved)
        inbox = interactive.intermediate_queue.key
        moved = self.connection.blmove(interactive.key, inbox, _CLAIM_S)  # type: ignore[arg-type]
        return None if moved is None else self._fetch(interactive, moved)

    def _fetch(self, queue: Queue, moved: bytes | str) -> tuple[Job, Queue] | None:
        job_id = text(moved)
        try:
            job = TranscriptionJob.fetch(job_id, self.connection, JSONSerializer)
            return job, queue
        except NoSuchJobError:  # deleted while it waited
            queue.intermediate_queue.remove(job_id)
            return None

    def _execute(self, job: Job, queue: Queue) -> None:
        job.redis_server_version = self.get_redis_server_version()  # type: ignore[no-untyped-call]
        execution = self.prepare_execution(job)
        queue.intermediate_queue.remove(job.id)
        run = Run(job, queue, execution, JobToken(execution.id))
        with self._changed:
            self._runs[execution.id] = run
        try:
            if self._is_suspect(job.id):
                self._make_room_for(run)
        except (RedisError, QueueUnavailableError):
            self._forget(run)
            raise
        self._pool.submit(self._run, run)

    def _is_suspect(self, job_id: str) -> bool:
        try:
            return self._store.get(job_id).abandoned > 0
        except JobNotFoundError:
            return False

    def _make_room_for(self, suspect: Run) -> None:
        """Put the other jobs in flight back, which checkpoints make cheap, and wait for that."""
        self._alone = suspect.job.id
        with self._changed:
            self._interrupt("a suspect must run alone", spare=suspect)
            while len(self._runs) > 1 and not self._stop_requested:
                self._changed.wait(_CLAIM_S)
        logger.warning("a suspect runs alone", extra={"job_id": suspect.job.id})
        self._innocent_at = self._n_windows(suspect.job.id) + _PAST_WINDOWS
        self._sweeper.mark_alone(suspect.job.id)

    def _acquit(self, suspect_id: str) -> None:
        """Let others in again once a suspect is past the place where its worker died."""
        n_windows = self._n_windows(suspect_id)  # Another model begins again, from none.
        self._innocent_at = min(self._innocent_at, n_windows + _PAST_WINDOWS)
        if n_windows >= self._innocent_at:
            self._sweeper.clear_alone(suspect_id)
            self._alone = None
            logger.info("a suspect came through", extra={"job_id": suspect_id})

    def _n_windows(self, job_id: str) -> int:
        try:
            return self._store.get(job_id).n_windows
        except JobNotFoundError:  # deleted, its run is about to end
            return 0

    def _interrupt(self, why: str, *, spare: Run | None = None) -> None:
        for run in self._runs.values():
            if run is not spare:
                run.token.stop(JobInterrupted(why))

    def _run(self, run: Run) -> None:
        current_token.set(run.token)
        try:
            self.perform_job(run.job, run.queue, run.execution)
            if self._alone == run.job.id:
                self._sweeper.clear_alone(run.job.id)
        except BaseException as error:
            is_outage = isinstance(error, RedisError | QueueUnavailableError)
            logger.error("outcome not stored, left to its lease: %s", error, exc_info=not is_outage)
        finally:
            self._forget(run)

    def _forget(self, run: Run) -> None:
        with self._changed:
            self.executions.pop(run.execution.id, None)
            self._runs.pop(run.execution.id, None)
            if self._alone == run.job.id:
                self._alone = None
            self._changed.notify_all()

    def _finalize_failure(
        self, job: Job, queue: Queue, execution: Execution, exc_info: Any
    ) -> None:
        if isinstance(exc_info[1], JobInterrupted):
            self._sweeper.give_back(queue, job.id, execution.id)
        else:
            super()._finalize_failure(job, queue, execution, exc_info)

    def renew(self) -> None:
        """Renew the worker's own record and the lease of every job in flight."""
        runs = list(self._runs.values())
        for run in runs:
            self.maintain_heartbeats(run.job, run.execution)
        if not runs:
            self.set_state(WorkerStatus.IDLE)
            self.heartbeat()
        self._beat(len(runs))

    def hear_cancellations(self) -> None:
        """Stop the jobs in flight that nobody wants any more."""
        runs = list(self._runs.values())
        unwanted = self._store.canceled([run.job.id for run in runs]) if runs else set()
        for run in runs:
            if run.job.id in unwanted:
                run.token.stop(JobLost(run.job.id))

    def _install_signal_handlers(self) -> None:
        on_stop(self.request_stop)

    def teardown(self) -> None:
        """Let jobs end or stop, and give back the rest. Takes at most 8 s."""
        with self._changed:
            self._changed.wait_for(lambda: not self._runs, _GRACE_S)
            self._interrupt("the worker is shutting down")
            self._changed.wait_for(lambda: not self._runs, _STOP_S)
            left = list(self._runs.values())
        for run in left:
            self._store.release(run.job.id, run.execution.id)
            self._sweeper.give_back(run.queue, run.job.id, run.execution.id)
        self._pool.shutdown(wait=False, cancel_futures=True)
