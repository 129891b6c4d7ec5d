"""The Lua scripts that change jobs: each one checks, writes, indexes and tells, in one atomic step.

redis-py repeats a script whose reply was lost, so each of them answers its own repetition with
the same success and without a second effect. A Redis that is full refuses a script whose first
write may need memory: those that end, give back or delete a job begin with one that needs none,
since they are the way out. Scripts build key names themselves: one Redis, no
cluster (RQ knows none either). Keys:

    stt:job:<id>                 hash: the record
    stt:windows:<id>             hash: window index -> zlib JSON, of one variant
    stt:transcript:<id>          zlib JSON
    stt:index:<status>:<scope>   sorted set of job ids by creation; status "any" holds all
    stt:audio_ms:<scope>         hash: status -> sum of audio, ms
    stt:audio:<key>              set of the jobs that use a recording
    stt:audio:doomed             set of recordings that nobody uses and that must be deleted
    stt:ended:audio|record       sorted sets of ended jobs by end: what retention looks at
    stt:claim:<hash>             hash: what an Idempotency-Key was used for
    stt:attach:<fingerprint>     newest job of an owner with this audio and these options
    stt:events                   stream of changes, ids and numbers only
    stt:erased                   id of the latest deleted job that the append-only file holds

A scope is `all`, `owner:<owner>` or `batch:<owner>:<name>`.
"""

from typing import Final

EVENTS_KEY: Final = "stt:events"
EVENTS_KEPT: Final = 10_000
#: The latest job that was deleted and that the append-only file still holds.
ERASED_KEY: Final = "stt:erased"

_PRELUDE: Final = """
local function job_key(id) return 'stt:job:' .. id end

local function emit(id, kind)
  local f = redis.call('HMGET', job_key(id), 'status', 'progress', 'n_windows')
  redis.call('XADD', 'EVENTS_KEY', 'MAXLEN', '~', EVENTS_KEPT, '*', 'job', id, 'kind', kind,
             'status', f[1], 'progress', f[2], 'n_windows', f[3])
end

local function add_audio_ms(scope, status, ms)
  local key = 'stt:audio_ms:' .. scope
  if redis.call('HINCRBY', key, status, ms) == 0 then redis.call('HDEL', key, status) end
end

local function index(id, old, new)
  local f = redis.call('HMGET', job_key(id), 'scopes', 'created_us', 'audio_ms')
  for scope in string.gmatch(f[1], '[^\\n]+') do
    if old then
      redis.call('ZREM', 'stt:index:' .. old .. ':' .. scope, id)
      add_audio_ms(scope, old, 0 - f[3])
    end
    if new then
      redis.call('ZADD', 'stt:index:' .. new .. ':' .. scope, f[2], id)
      add_audio_ms(scope, new, f[3])
    end
    if not old then redis.call('ZADD', 'stt:index:any:' .. scope, f[2], id) end
    if not new then redis.call('ZREM', 'stt:index:any:' .. scope, id) end
  end
end

local function release_audio(id, audio_key)
  redis.call('ZREM', 'stt:ended:audio', id)
  local users = 'stt:audio:' .. audio_key
  if redis.call('SREM', users, id) == 1 and redis.call('SCARD', users) == 0 then
    redis.call('SADD', 'stt:audio:doomed', audio_key)
  end
end
""".replace("EVENTS_KEY", EVENTS_KEY).replace("EVENTS_KEPT", str(EVENTS_KEPT))

#: ARGV: id, attach key, audio key, '1' to join an unfinished job of the same owner, audio and
#: options or '', claim key or '', fingerprint, seconds to keep the claim, most unfinished jobs
#: or 0, scope of the owner, RQ's set of lanes, its list or '', its record's key, number n of that
#: record's arguments, those n, then field, value, ... -> {fingerprint, id} of the job that the
#: request has: this one, or the earlier one that it joins or claimed; {'', ''} when the id is
#: taken, {'full', ''} when the owner may have no more.
CREATE: Final = (
    _PRELUDE
    + """
local id, attach, audio, joins, claim, fingerprint, ttl = unpack(ARGV, 1, 7)
local most, owner, lanes, lane, record, n = unpack(ARGV, 8, 13)
if joins ~= '' then
  local other = redis.call('GET', attach)
  local status = other and other ~= id and redis.call('HGET', job_key(other), 'status')
  if status == 'queued' or status == 'processing' then return {fingerprint, other} end
end
if claim ~= '' then
  local held = redis.call('HMGET', claim, 'fingerprint', 'job')
  if held[1] and held[2] ~= id and redis.call('EXISTS', job_key(held[2])) == 1 then
    return held
  end
end
if redis.call('EXISTS', job_key(id)) == 1 then
  if redis.call('HGET', job_key(id), 'attach') == attach then return {fingerprint, id} end
  return {'', ''}
end
local function count(status) return redis.call('ZCARD', 'stt:index:' .. status .. ':' .. owner) end
if tonumber(most) > 0 and count('queued') + count('processing') >= tonumber(most) then
  return {'full', ''}
end
if claim ~= '' then
  redis.call('HSET', claim, 'fingerprint', fingerprint, 'job', id)
  redis.call('EXPIRE', claim, ttl)
end
redis.call('HSET', job_key(id), 'attach', attach, 'audio_key', audio, unpack(ARGV, 14 + n))
redis.call('SET', attach, id)
redis.call('SADD', 'stt:audio:' .. audio, id)
redis.call('SREM', 'stt:audio:doomed', audio)
index(id, nil, redis.call('HGET', job_key(id), 'status'))
if lane ~= '' then
  redis.call('SADD', lanes, lane)
  redis.call('HSET', record, unpack(ARGV, 14, 13 + n))
  redis.call('RPUSH', lane, id)
end
emit(id, 'status')
return {fingerprint, id}
"""
)

#: ARGV: id, execution id, time, bundle -> the job, or nil when it may not be started.
START: Final = (
    _PRELUDE
    + """
local id, execution, now, bundle = unpack(ARGV)
local f = redis.call('HMGET', job_key(id), 'status', 'execution_id')
if f[1] ~= 'queued' and f[1] ~= 'processing' then return nil end
if f[1] == 'queued' or f[2] ~= execution then
  redis.call('HSETNX', job_key(id), 'started_at', now)
  redis.call('HINCRBY', job_key(id), 'attempt', 1)
  redis.call('HSET', job_key(id), 'execution_id', execution, 'bundle', bundle,
             'status', 'processing')
  if f[1] == 'queued' then index(id, 'queued', 'processing') end
  emit(id, 'status')
end
return redis.call('HGETALL', job_key(id))
"""
)

#: ARGV: id, execution id, variant, index, window, progress -> 1, or 0 when the fence is lost.
ADD_WINDOW: Final = (
    _PRELUDE
    + """
local id, execution, variant, at, window, progress = unpack(ARGV)
local f = redis.call('HMGET', job_key(id), 'status', 'execution_id', 'variant', 'progress')
if f[1] ~= 'processing' or f[2] ~= execution then return 0 end
local windows = 'stt:windows:' .. id
if f[3] ~= variant then
  redis.call('DEL', windows)
elseif tonumber(f[4]) > tonumber(progress) then
  progress = f[4]
end
redis.call('HSET', windows, at, window)
redis.call('HSET', job_key(id), 'variant', variant, 'progress', progress,
           'n_windows', redis.call('HLEN', windows))
emit(id, 'window')
return 1
"""
)

#: ARGV: id, execution id -> 1 when the job waits again, or 0 when the run does not hold it.
RELEASE: Final = (
    _PRELUDE
    + """
local id, execution = ARGV[1], ARGV[2]
local f = redis.call('HMGET', job_key(id), 'status', 'execution_id')
if f[2] ~= execution then return 0 end
if f[1] == 'queued' then return 1 end
if f[1] ~= 'processing' then return 0 end
index(id, 'processing', 'queued')
redis.call('HSET', job_key(id), 'status', 'queued')
emit(id, 'status')
return 1
"""
)

#: ARGV: id, execution id or '', new status, time in s, seconds to keep windows, seconds to keep
#: text, transcript or '', then field, value, ... -> 1 when the job has ended so, or 0 when the
#: fence is lost, the job is gone, or it has ended otherwise.
END: Final = (
    _PRELUDE
    + """
local id, execution, to, now, windows_ttl, text_ttl, transcript = unpack(ARGV, 1, 7)
local f = redis.call('HMGET', job_key(id), 'status', 'execution_id')
if execution ~= '' and f[2] ~= execution then return 0 end
if f[1] == to then return 1 end
if f[1] ~= 'queued' and f[1] ~= 'processing' then return 0 end
redis.call('EXPIRE', 'stt:windows:' .. id, windows_ttl)
if transcript ~= '' then
  redis.call('SET', 'stt:transcript:' .. id, transcript, 'EX', text_ttl)
end
redis.call('HSET', job_key(id), 'status', to, unpack(ARGV, 8))
redis.call('ZADD', 'stt:ended:audio', now, id)
redis.call('ZADD', 'stt:ended:record', now, id)
index(id, f[1], to)
emit(id, 'status')
return 1
"""
)

#: ARGV: id, execution id or '' -> number of worker deaths, or 0 when another run holds the job by
#: now. Counts once per run: a waiting job has no worker to lose.
ABANDON: Final = (
    _PRELUDE
    + """
local id, execution = ARGV[1], ARGV[2]
local f = redis.call('HMGET', job_key(id), 'status', 'execution_id')
if f[1] == 'processing' then
  if execution ~= '' and f[2] ~= execution then return 0 end
  index(id, 'processing', 'queued')
  redis.call('HINCRBY', job_key(id), 'abandoned', 1)
  redis.call('HSET', job_key(id), 'status', 'queued')
  emit(id, 'status')
end
return tonumber(redis.call('HGET', job_key(id), 'abandoned') or 0)
"""
)

#: ARGV: id -> the job as it was, or an empty list.
DELETE: Final = (
    _PRELUDE
    + """
local id = ARGV[1]
local job = redis.call('HGETALL', job_key(id))
if #job == 0 then return job end
local f = redis.call('HMGET', job_key(id), 'status', 'attach', 'audio_key')
index(id, f[1], nil)
emit(id, 'deleted')
if redis.call('GET', f[2]) == id then redis.call('DEL', f[2]) end
release_audio(id, f[3])
redis.call('ZREM', 'stt:ended:record', id)
redis.call('DEL', job_key(id), 'stt:windows:' .. id, 'stt:transcript:' .. id)
redis.call('SET', 'ERASED_KEY', id)
return job
""".replace("ERASED_KEY", ERASED_KEY)
)

#: ARGV: id. Lets go of the recording of a job that keeps its transcript.
RELEASE_AUDIO: Final = (
    _PRELUDE
    + """
local audio = redis.call('HGET', job_key(ARGV[1]), 'audio_key')
if audio then release_audio(ARGV[1], audio) else redis.call('ZREM', 'stt:ended:audio', ARGV[1]) end
"""
)

#: KEYS: a task's lock. ARGV: seconds -> 1 for the one caller whose turn it is in that time.
TAKE_TURN: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
return 1
"""
