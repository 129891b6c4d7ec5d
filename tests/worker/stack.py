"""Redis, store and worker processes of one fault test, and the jobs that it sends."""

import os
import signal
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.contract.audio_store import AudioStore, new_key
from services.contract.job_queue import JobQueue
from services.contract.job_store import JobStore, new_job_id
from services.contract.redis_client import connect
from services.contract.schema import (
    AudioRef,
    Job,
    JobStatus,
    Lane,
    TranscriptionOptions,
    utc_now,
)
from services.worker.samples import SAMPLE_RATE
from tests.waiting import wait_until

#: What docker-compose.yml and Kubernetes give a worker to stop in.
GRACE_S = 20


class Stack:
    """What a test talks to; `close` ends every process it started."""

    def __init__(self, redis_url: str, folder: Path, bundle: Path) -> None:
        self.redis = connect(redis_url, for_worker=True)
        self.store = JobStore(self.redis, transcript_ttl_s=3600, audio_ttl_s=3600)
        self.queue = JobQueue(self.redis)
        self.audio = AudioStore(f"file://{folder}/audio")
        self.models_dir = folder / "models"
        self._folder = folder
        self._hold = folder / "hold"
        self._environ = {
            **os.environ,
            "STT_REDIS_URL": redis_url,
            "STT_AUDIO_STORE_URL": f"file://{folder}/audio",
            "STT_MODELS_DIR": str(self.models_dir),
            "STT_MODEL": str(bundle),
            "STT_DEVICE": "cpu",
            "STT_MODEL_POLL_S": "0.2",
            "OMP_NUM_THREADS": "1",
        }
        self.workers: list[subprocess.Popen[bytes]] = []

    def start_worker(
        self, *, seconds_per_call: float = 0.0, **settings: str
    ) -> subprocess.Popen[bytes]:
        """Start a worker process and wait until it says that it is alive."""
        staged = [str(seconds_per_call), str(self._hold)]
        command = [sys.executable, "-m", "tests.worker.staged_worker", *staged]
        environ = {**self._environ, **settings}
        with (self._folder / f"worker-{len(self.workers)}.log").open("wb") as log:
            worker = subprocess.Popen(command, env=environ, stderr=log, stdout=log)
        self.workers.append(worker)
        wait_until(
            lambda: any(w.name.endswith(f"-{worker.pid}") for w in self.queue.workers_alive()),
            what=f"the worker to start: {self.logs()}",
        )
        return worker

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Let workers that have started begin jobs, and end none: on a slow machine the first would
        be done before the last has begun.
        """
        self._hold.touch()
        try:
            yield
        finally:
            self._hold.unlink()

    def run_worker(self, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a worker that cannot start to its end."""
        command = [sys.executable, "-m", "services.worker"]
        environ = {**self._environ, **settings}
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300)

    def send(
        self,
        samples: NDArray[np.float32],
        *,
        lane: Lane = Lane.INTERACTIVE,
        options: TranscriptionOptions | None = None,
    ) -> str:
        """Store a recording and enqueue its job; return the id."""
        return self.submit(self.keep(samples), lane=lane, options=options)

    def submit(
        self,
        audio: AudioRef,
        *,
        lane: Lane = Lane.INTERACTIVE,
        options: TranscriptionOptions | None = None,
    ) -> str:
        """Enqueue a job on a recording; return the id."""
        job = Job(
            id=new_job_id(),
            owner="public",
            status=JobStatus.QUEUED,
            audio=audio,
            options=options or TranscriptionOptions(vad_filter=False),
            lane=lane,
            created_at=utc_now(),
        )
        self.store.create(job)
        self.queue.enqueue(job)
        return job.id

    def keep(self, samples: NDArray[np.float32]) -> AudioRef:
        """Store a recording as wav."""
        path = self._folder / "upload.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes((samples * 32767).astype(np.int16).tobytes())
        key, data = new_key(), path.read_bytes()
        with self.audio.writer(key) as writer:
            writer.write(data)
            writer.commit()
        duration = len(samples) / SAMPLE_RATE
        return AudioRef(key=key, sha256="0" * 64, n_bytes=len(data), duration=duration)

    def status(self, job_id: str) -> JobStatus:
        """Return the state of a job."""
        return self.store.get(job_id).status

    def wait_for(self, job_ids: list[str], status: JobStatus) -> None:
        """Wait until all jobs are in a state."""
        wait_until(
            lambda: all(self.status(job_id) is status for job_id in job_ids),
            what=f"{status}; so far {[self.status(job_id).value for job_id in job_ids]}",
        )

    def logs(self) -> str:
        """Return what the workers said."""
        return "".join(path.read_text() for path in sorted(self._folder.glob("worker-*.log")))[
            -6000:
        ]

    def close(self) -> None:
        """Kill what still runs."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGKILL)
                worker.wait(10)
        self.redis.close()
