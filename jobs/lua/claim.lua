-- claim: lease up to n jobs. The same claim id again gives the same jobs.
--
-- KEYS  1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 tenants  8 meta  9 workers  10 counts
--        11 claim: LIST of the jobs of this claim id
-- ARGV   1 claim id  2 n  3 lease in ms  4 most attempts  5 worker  6 its record  7 ms after which the record is old
--        8 how many due or expired jobs to look at
-- Reply  {jobs, ready, delayed, leased, paused}; a job is
--        {job, round, fence, attempt, crashes, 1 for a burial, lost fence, lost claim, payload}
--
-- Order: promote what is due, rescue what has expired, then burials, then by priority, tenant, length. Tenants of one
-- priority take turns by deficit round robin (Shreedhar and Varghese 1995), in expected tokens; a turn is worth the
-- longest job that stands first with any of them, so each turn serves at least one. A claim that is full in the middle of
-- a turn leaves the rest of it to the next claim.
--
-- A server that evicts loses whole keys. A claim that finds the keys at odds mends them first, from `jobs`; rows that are
-- then missing are fed again, once storage is audited.

redis.call('ZREM', READY, '') -- a harmless first write: the script also runs at maxmemory
local CLAIM = KEYS[11]
local claim, n, lease_ms, most_attempts = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local look_at = tonumber(ARGV[8])
local now = now_ms()
local paused = redis.call('HGET', META, 'paused') == '1'
local claimed = {}

local function answer(job, r)
  claimed[#claimed + 1] = {job, r.round, r.fence, r.attempts, r.crashes, r.state == 'b' and 1 or 0, r.lost_fence or -1, r.lost_claim or '',
                           redis.call('HGET', PAYLOAD, job) or ''}
end

local function reply()
  return {claimed, redis.call('ZCARD', READY), redis.call('ZCARD', DELAYED), redis.call('ZCARD', LEASED), paused and 1 or 0}
end

redis.call('HSET', WORKERS, ARGV[5], string.format('%d|', now + tonumber(ARGV[7])) .. ARGV[6])

local function sum(hash)
  local total = 0
  for _, value in ipairs(redis.call('HVALS', hash)) do
    total = total + tonumber(value)
  end
  return total
end

-- Whether all keys tell of the same jobs. A payload has at least one byte.
local function is_whole()
  local jobs, ready = redis.call('HLEN', JOBS), redis.call('ZCARD', READY)
  local bytes = tonumber(redis.call('HGET', META, 'bytes') or '0')
  return jobs == ready + redis.call('ZCARD', DELAYED) + redis.call('ZCARD', LEASED) and jobs == sum(COUNTS)
    and ready == sum(TENANTS) and jobs == redis.call('HLEN', PAYLOAD) and bytes >= jobs and (jobs > 0 or bytes == 0)
end

-- Make all other keys again from `jobs`. A job without its payload is let go: it must never be run, nor fail, for that.
local function mend()
  redis.call('DEL', READY, DELAYED, LEASED, TENANTS, COUNTS)
  redis.call('HDEL', META, 'bytes')
  for _, job in ipairs(redis.call('HKEYS', JOBS)) do
    local r, size = get_job(job), redis.call('HSTRLEN', PAYLOAD, job)
    if size == 0 then
      redis.call('HDEL', JOBS, job)
    else
      redis.call('HINCRBY', META, 'bytes', size)
      put_in(job, r, r.state, is_leased(r) and now + lease_ms or now)
    end
  end
  for _, job in ipairs(redis.call('HKEYS', PAYLOAD)) do
    if redis.call('HEXISTS', JOBS, job) == 0 then
      redis.call('HDEL', PAYLOAD, job)
    end
  end
end

if not is_whole() then
  mend()
end

local before = redis.call('LRANGE', CLAIM, 0, -1)
if #before > 0 then
  for _, job in ipairs(before) do
    local r = get_job(job)
    if r and is_leased(r) and r.claim == claim then
      answer(job, r)
    end
  end
  return reply()
end

for _, job in ipairs(redis.call('ZRANGEBYSCORE', DELAYED, '-inf', now, 'LIMIT', 0, look_at)) do
  local r = get_job(job)
  if not r or r.state ~= 'd' then
    redis.call('ZREM', DELAYED, job)
  elseif is_current(job, r) then
    take_out(job, r)
    put_in(job, r, 'r')
  else
    remove(job, r)
  end
end

for _, job in ipairs(redis.call('ZRANGEBYSCORE', LEASED, '-inf', now, 'LIMIT', 0, look_at)) do
  local r = get_job(job)
  if not r or not is_leased(r) then
    redis.call('ZREM', LEASED, job)
  elseif is_current(job, r) then
    take_out(job, r)
    if r.state == 'l' then
      r.crashes = r.crashes + 1
      r.lost_fence, r.lost_claim = r.fence, r.claim
    end
    put_in(job, r, r.attempts >= most_attempts and 'y' or 'r')
  else
    remove(job, r)
  end
end

-- Lease one job that stands in `ready`. Returns its cost, or nil when it was not to be run any more.
local function lease(member)
  local job = string.match(member, '^[^|]*|[^|]*|%d+|(.*)$')
  local r = get_job(job)
  if not r or (r.state ~= 'r' and r.state ~= 'y') or member_of(job, r) ~= member then
    redis.call('ZREM', READY, member) -- its record says otherwise; the next claim mends the rest
    return nil
  end
  if not is_current(job, r) then
    remove(job, r)
    return nil
  end
  local burial = r.state == 'y'
  take_out(job, r)
  if not burial then
    r.attempts = r.attempts + 1
  end
  r.fence = redis.call('HINCRBY', META, 'fence', 1)
  r.claim = claim
  put_in(job, r, burial and 'b' or 'l', now + lease_ms)
  redis.call('RPUSH', CLAIM, job)
  answer(job, r)
  return r.cost
end

local function cost_of(member)
  return 9999999999 - tonumber(string.match(member, '^[^|]*|[^|]*|(%d+)|'))
end

local function first_of(group, limit)
  return redis.call('ZRANGEBYLEX', READY, '[' .. group .. '|', '(' .. group .. '}', 'LIMIT', 0, limit)
end

-- The tenants of one priority in the order of their turns, and what a turn is worth.
local function turns_of(priority)
  local groups, worth = {}, 1
  for _, group in ipairs(redis.call('HKEYS', TENANTS)) do
    if string.sub(group, 1, #priority + 1) == priority .. '|' then
      local first = first_of(group, 1)[1]
      if first then
        groups[#groups + 1] = group
        worth = math.max(worth, cost_of(first))
      end
    end
  end
  table.sort(groups)
  local last = redis.call('HGET', META, 'turn|' .. priority) or ''
  local after, until_last = {}, {}
  for _, group in ipairs(groups) do
    table.insert(group > last and after or until_last, group)
  end
  for _, group in ipairs(until_last) do
    after[#after + 1] = group
  end
  return after, worth
end

-- One tenant's turn. Returns whether the claim is full: then the turn is not over, and what it was worth is not added again.
local function serve(group, worth)
  local key = 'deficit|' .. group
  local deficit = math.min(tonumber(redis.call('HGET', META, key) or '0'), worth) + worth
  while #claimed < n do
    local members = first_of(group, n - #claimed)
    if #members == 0 then
      redis.call('HDEL', META, key)
      return false
    end
    for _, member in ipairs(members) do
      if cost_of(member) > deficit then
        redis.call('HSET', META, key, deficit)
        return false
      end
      deficit = deficit - (lease(member) or 0)
    end
  end
  redis.call('HSET', META, key, deficit - worth)
  return true
end

while not paused and #claimed < n do
  local first = redis.call('ZRANGE', READY, 0, 0)[1]
  if not first then break end
  local priority = string.sub(first, 1, 1)
  local groups, worth = turns_of(priority)
  if #groups == 0 then -- the tenant of this job is not known: count it again, and go on
    redis.call('HSET', TENANTS, string.match(first, '^([^|]*|[^|]*)|'), 1)
  end
  for _, group in ipairs(groups) do
    if serve(group, worth) then break end
    redis.call('HSET', META, 'turn|' .. priority, group)
  end
end
if #claimed > 0 then
  redis.call('PEXPIRE', CLAIM, lease_ms)
end
return reply()
