-- The ground that every script of a lane stands on: it is put before each of them. It runs nothing itself.
--
-- KEYS   1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 tenants  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights
--   batches  HASH batch -> {round, cursor, at_end, closed, version, kept}; kept is the round of which leased jobs may
--            still finish, although it is not the batch's any more
--   jobs     HASH job -> [state, round, fence, attempts, crashes, claim, priority, tenant, cost], and of one that crashed
--            [..., lost fence, lost claim, solo crashes, group, suspects leased with it, 1 if the last crash was solo]
--            state: r ready, s suspect, d delayed, l leased, y dying, b leased for the burial of a dying job
--            A job that has only ever waited has none, so that it takes little room: the head of its payload says all.
--   payload  HASH job -> <round>|<priority>|<tenant>|<cost>|, then opaque bytes
--   ready    ZSET of score 0, read by lexical ranges: <9-priority>|<tenant>|<inverse cost>|<job>; the dying sort before all
--   delayed  ZSET job -> due        leased  ZSET job -> expiry        (milliseconds of this server)
--   tenants  HASH <9-priority>|<tenant> -> how many of its jobs are ready
--   meta     HASH paused, reason, fence, version, bytes, group, now (the last claim), of deficit round robin: turn|<level>, deficit|<group>,
--            served|<group> (when), a group being <9-priority>|<tenant>,
--            and of crashes: deaths (in a row), finished (rows since resumed), apart, turn
--   workers  HASH worker -> expiry|record
--   counts   HASH <batch>|<r, d or l> -> jobs in that state (y and s count as r, b as l); none is left out
--   flights  HASH tenant -> its leased jobs
--   suspects ZSET job -> group: jobs that were lost together, to be run apart; the lowest group first
--   crashed  SET of this row of deaths: w|<incarnation> of each worker that died, j|<job> of each job lost with one
-- A job is written <batch>/<row>.

local BATCHES, JOBS, PAYLOAD, READY, DELAYED = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local LEASED, TENANTS, META, WORKERS, COUNTS = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local SUSPECTS, CRASHED, FLIGHTS = KEYS[11], KEYS[12], KEYS[13]
local DYING = '!'
local MOST_SOLO = 2 -- a job that crashed so often with nothing beside it is dying

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function batch_of(job)
  return string.match(job, '^(.*)/%d+$')
end

local read_batches = {}

local function get_batch(batch)
  if read_batches[batch] == nil then
    local raw = redis.call('HGET', BATCHES, batch)
    read_batches[batch] = raw and cjson.decode(raw) or false
  end
  return read_batches[batch]
end

local function put_batch(batch, record)
  read_batches[batch] = record
  redis.call('HSET', BATCHES, batch, cjson.encode(record))
end

local HEAD = '^(%d+)|(%d)|([^|]*)|(%d+)|'

local function head_of(r)
  return string.format('%d|%d|%s|%d|', r.round, r.priority, r.tenant, r.cost)
end

-- The record of a job that has only ever waited, from the head of its payload.
local function get_fresh(job)
  local payload = redis.call('HGET', PAYLOAD, job) or ''
  local round, priority, tenant, cost = string.match(payload, HEAD)
  if not round then return nil end
  return {state = 'r', round = tonumber(round), fence = 0, attempts = 0, crashes = 0, claim = '', priority = tonumber(priority),
          tenant = tenant, cost = tonumber(cost), lost_fence = -1, lost_claim = '', solo = 0, group = 0, size = 0, lost_solo = 0,
          fresh = true, payload = payload}
end

local function get_job(job)
  local raw = redis.call('HGET', JOBS, job)
  if not raw then
    return get_fresh(job)
  end
  local r = cjson.decode(raw)
  return {state = r[1], round = r[2], fence = r[3], attempts = r[4], crashes = r[5], claim = r[6],
          priority = r[7], tenant = r[8], cost = r[9], lost_fence = r[10] or -1, lost_claim = r[11] or '',
          solo = r[12] or 0, group = r[13] or 0, size = r[14] or 0, lost_solo = r[15] or 0}
end

local function put_job(job, r)
  if r.fresh and r.state == 'r' then
    return
  end
  local record = {r.state, r.round, r.fence, r.attempts, r.crashes, r.claim, r.priority, r.tenant, r.cost}
  if r.crashes > 0 then
    for place, value in ipairs({r.lost_fence, r.lost_claim, r.solo, r.group, r.size, r.lost_solo}) do
      record[9 + place] = value
    end
  end
  redis.call('HSET', JOBS, job, cjson.encode(record))
end

local function group_of(r)
  return (r.state == 'y' and DYING or tostring(9 - r.priority)) .. '|' .. r.tenant
end

local function member_of(job, r)
  return group_of(r) .. '|' .. string.format('%010d', 9999999999 - r.cost) .. '|' .. job
end

local COUNTED_AS = {r = 'r', d = 'd', l = 'l', y = 'r', b = 'l', s = 'r'}

-- Counts are summed up here and written once, by `write_counts`: a script calls it before it reads them, and at its end.
local unwritten = {[COUNTS] = {}, [FLIGHTS] = {}, [TENANTS] = {}}
local unwritten_bytes = 0

local function count(hash, field, by)
  unwritten[hash][field] = (unwritten[hash][field] or 0) + by
end

local function write_counts()
  for hash, fields in pairs(unwritten) do
    for field, by in pairs(fields) do
      local now_there = by == 0 and 1 or redis.call('HINCRBY', hash, field, by)
      if now_there == 0 or (now_there < 0 and hash ~= COUNTS) then
        redis.call('HDEL', hash, field)
        redis.call('HDEL', META, 'served|' .. field)
      elseif hash == TENANTS and by > 0 and now_there == by then
        redis.call('HSETNX', META, 'served|' .. field, now_ms())
      end
    end
    unwritten[hash] = {}
  end
  if unwritten_bytes ~= 0 then
    redis.call('HINCRBY', META, 'bytes', unwritten_bytes)
    unwritten_bytes = 0
  end
end

local function is_leased(r)
  return r.state == 'l' or r.state == 'b'
end

-- Take a job out of the place where its state puts it.
local function take_out(job, r)
  count(COUNTS, batch_of(job) .. '|' .. COUNTED_AS[r.state], -1)
  if is_leased(r) then
    redis.call('ZREM', LEASED, job)
    count(FLIGHTS, r.tenant, -1)
  elseif r.state == 'd' then
    redis.call('ZREM', DELAYED, job)
  elseif r.state == 's' then
    redis.call('ZREM', SUSPECTS, job)
  elseif redis.call('ZREM', READY, member_of(job, r)) == 1 then
    count(TENANTS, group_of(r), -1)
  end
end

-- Put a job into the place of its new state. `at` is the due time or the expiry, where there is one.
local function put_in(job, r, state, at)
  r.state = state
  count(COUNTS, batch_of(job) .. '|' .. COUNTED_AS[state], 1)
  if is_leased(r) then
    redis.call('ZADD', LEASED, at, job)
    count(FLIGHTS, r.tenant, 1)
  elseif state == 'd' then
    redis.call('ZADD', DELAYED, at, job)
  elseif state == 's' then
    redis.call('ZADD', SUSPECTS, r.group, job)
  elseif redis.call('ZADD', READY, 0, member_of(job, r)) == 1 then
    count(TENANTS, group_of(r), 1)
  end
  put_job(job, r)
end

-- Forget a job: it is settled, or its batch is closed.
local function remove(job, r)
  take_out(job, r)
  redis.call('HDEL', JOBS, job)
  unwritten_bytes = unwritten_bytes - redis.call('HSTRLEN', PAYLOAD, job)
  redis.call('HDEL', PAYLOAD, job)
end

-- Whether a job may still be run: its batch is here, open, and in the job's round, or lets it finish an older one.
local function is_current(job, r)
  local batch = get_batch(batch_of(job))
  return batch and not batch.closed and (batch.round == r.round or (batch.kept == r.round and is_leased(r)))
end

-- A job that goes back to wait, waits for the batch's round.
local function join_round(job, r)
  r.round = get_batch(batch_of(job)).round
end

-- Whether a lease still holds: round, fence and claim id all match.
local function holds(r, round, fence, claim)
  return r and is_leased(r) and r.round == tonumber(round) and r.fence == tonumber(fence) and r.claim == claim
end

-- The crash that led to this lease has been reported, and is told no more.
local function forget_lost(r)
  r.lost_fence, r.lost_claim, r.lost_solo = -1, '', 0
end

-- Nobody died since the last row was finished, or since the lane was resumed.
local function end_row_of_deaths()
  redis.call('HDEL', META, 'deaths')
  redis.call('DEL', CRASHED)
end
