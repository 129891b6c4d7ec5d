"""The workers that are alive, what they serve, and how fast they are."""

from datetime import datetime

from pydantic import ConfigDict
from redis import Redis
from redis.exceptions import OutOfMemoryError

from services.contract.redis_client import redis_errors, text
from services.contract.schema import Message, utc_now

WORKERS_KEY = "stt:workers"
FACTOR_KEY = "stt:rtf"
LEASE_S = 15.0
#: Weight of the newest figure in the moving average.
FACTOR_WEIGHT = 0.2

#: KEYS: figure. ARGV: newest value, weight.
_AVERAGE = """
local old = redis.call('GET', KEYS[1])
local new = tonumber(ARGV[1])
if old then new = tonumber(old) * (1 - ARGV[2]) + new * ARGV[2] end
redis.call('SET', KEYS[1], tostring(new), 'EX', 86400)
"""


class WorkerInfo(Message):
    """What a worker says about itself with every heartbeat.

    Fields of a newer version are ignored: hosts are not updated at the same moment.
    """

    model_config = ConfigDict(extra="ignore")

    name: str
    bundle: str
    """Id of the model bundle that new jobs get."""
    device: str
    slots: int
    busy: int = 0
    """Jobs in flight."""
    compute_type: str = ""
    languages: tuple[str, ...] = ()
    """Languages of the bundle; empty means all of Whisper's."""
    tasks: tuple[str, ...] = ()
    demo: bool = False
    short_context: bool = False
    n_batches: int = 0
    """Engine calls since its start."""
    n_windows: int = 0
    """Windows in them; by batches gives the fill."""
    last_seen: datetime | None = None


class Workers:
    """Heartbeats. Methods raise QueueUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        """Prepare the script; nothing is sent yet."""
        self._redis = redis
        self._average = redis.register_script(_AVERAGE)

    @redis_errors()
    def report(self, info: WorkerInfo, lease_s: float = LEASE_S) -> None:
        """Say that a worker is alive for `lease_s` more seconds."""
        seen = info.model_copy(update={"last_seen": utc_now()}).model_dump_json()
        lease_ms = round(lease_s * 1000)
        pipe = self._redis.pipeline()
        pipe.set(worker_key(info.name), seen, px=lease_ms)
        pipe.sadd(WORKERS_KEY, info.name)
        try:
            pipe.execute()
        except OutOfMemoryError:
            # A full Redis takes no news; that the worker lives it can still be told.
            if not self._redis.pexpire(worker_key(info.name), lease_ms):
                raise

    @redis_errors()
    def retire(self, name: str) -> None:
        """Say that a worker has stopped."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.delete(worker_key(name))
        pipe.srem(WORKERS_KEY, name)
        pipe.execute()

    @redis_errors()
    def alive(self) -> list[WorkerInfo]:
        """Return the workers whose lease holds, by name; forgets the others."""
        names = sorted(text(name) for name in self._redis.smembers(WORKERS_KEY))
        found = self._redis.mget([worker_key(name) for name in names]) if names else []
        gone = [name for name, said in zip(names, found, strict=True) if said is None]
        if gone:
            self._redis.srem(WORKERS_KEY, *gone)
        return [WorkerInfo.model_validate_json(said) for said in found if said is not None]

    @redis_errors()
    def report_real_time_factor(self, factor: float) -> None:
        """Add one figure: seconds a worker was busy per second of audio it finished."""
        self._average(keys=[FACTOR_KEY], args=[factor, FACTOR_WEIGHT])

    @redis_errors()
    def real_time_factor(self) -> float | None:
        """Return the recent real-time factor of one worker, if any was reported in a day."""
        factor = self._redis.get(FACTOR_KEY)
        return None if factor is None else float(factor)


def worker_key(name: str) -> str:
    """Name the heartbeat of a worker."""
    return f"stt:worker:{name}"
