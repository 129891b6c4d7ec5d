"""Redis's file on disk still holds what was deleted, until Redis rewrites it.

By itself it does so when the file has doubled, which in a quiet service may be never. So a sweep
asks for a rewrite some minutes after a job was deleted. A Redis that does not allow it, as some
hosted ones, keeps its own timetable.
"""

import logging

from redis import Redis
from redis.exceptions import ResponseError

from services.contract.job_scripts import ERASED_KEY
from services.contract.redis_client import redis_errors

logger = logging.getLogger(__name__)

#: Forgets a deletion unless another one came since.
_FORGET = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


@redis_errors()
def rewrite_after_deletes(redis: Redis) -> bool:
    """Start a rewrite in the background if a job was deleted since the last one.

    A refused one is asked for again at the next call: another rewrite may be under way, which began
    before the deletion.
    """
    latest = redis.get(ERASED_KEY)
    if not latest:
        return False
    try:
        has_file = bool(redis.info("persistence")["aof_enabled"])
        if has_file:
            redis.bgrewriteaof()
    except ResponseError as error:
        logger.info("Redis does not rewrite its file now", extra={"cause": str(error)})
        return False
    redis.eval(_FORGET, 1, ERASED_KEY, latest)
    return has_file
