-- claim: lease up to n jobs. The same claim id again gives the same jobs. mend.lua and rescue.lua are put before it.
--
-- KEYS  1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 tenants  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights
--        14 claim: LIST of the jobs of this claim id
-- ARGV   1 claim id  2 n  3 lease in ms  4 most attempts  5 worker  6 its record  7 ms after which the record is old
--        8 how many due or expired jobs to look at  9 jobs that the worker has in hand  10 most deaths in a row
--        11 ms after which a group that was not served gains a level  12 JSON: tenant -> {weight, cap of rows in flight}
-- Reply  {jobs, ready, delayed, leased, paused, apart, reason}; a job is
--        {job, round, fence, attempt, crashes, 1 for a burial, lost fence, lost claim, payload, solo crashes,
--         1 when the last crash was solo, 1 for a suspect}
--
-- Order: promote what is due, rescue what has expired, then burials, then by priority, tenant, length. The jobs of one
-- tenant and priority are a group. Groups of one priority take turns by deficit round robin (Shreedhar and Varghese 1995),
-- in expected tokens; a turn is worth the longest job that stands first with any of them, times the tenant's weight, so
-- each turn serves at least one. A claim that is full in the middle of a turn leaves the rest of it to the next claim. A
-- group that is not served gains priority with time, for one turn. A tenant at its cap is passed over.
--
-- Suspects are leased to a worker with nothing in hand, a group at a time and nothing beside it, in turn with other jobs.
-- While they wait, one busy worker at a time is told `apart`: it gets nothing, so that its hands become empty.

redis.call('ZREM', READY, '') -- a harmless first write: the script also runs at maxmemory
local CLAIM = KEYS[14]
local claim, n, lease_ms, most_attempts = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local worker, look_at, in_hand = ARGV[5], tonumber(ARGV[8]), tonumber(ARGV[9])
local now = now_ms()
local age_ms, shares = tonumber(ARGV[11]), cjson.decode(ARGV[12])
local claimed, apart = {}, 0

local function answer(job, r)
  claimed[#claimed + 1] = {job, r.round, r.fence, r.attempts, r.crashes, r.state == 'b' and 1 or 0, r.lost_fence, r.lost_claim,
                           (string.gsub(r.payload or redis.call('HGET', PAYLOAD, job) or '', HEAD, '', 1)), r.solo, r.lost_solo, r.size > 0 and 1 or 0}
end

local function is_paused()
  return redis.call('HGET', META, 'paused') == '1'
end

local function reply()
  write_counts()
  return {claimed, redis.call('ZCARD', READY) + redis.call('ZCARD', SUSPECTS), redis.call('ZCARD', DELAYED),
          redis.call('ZCARD', LEASED), is_paused() and 1 or 0, apart, redis.call('HGET', META, 'reason') or ''}
end

redis.call('HSET', WORKERS, worker, string.format('%d|', now + tonumber(ARGV[7])) .. ARGV[6])

if not is_whole() then
  mend(now, lease_ms)
end
follow_clock(now)

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

rescue(now, look_at, tonumber(ARGV[10]))

local leased, fence = {}, nil

-- The next fence. A claim takes as many as it may need at once; to leave some out does no harm.
local function next_fence()
  fence = fence and fence + 1 or redis.call('HINCRBY', META, 'fence', n) - n + 1
  return fence
end

-- Lease one job, which waits.
local function lease(job, r)
  local burial = r.state == 'y'
  take_out(job, r)
  if not burial then
    r.attempts = r.attempts + 1
  end
  r.fence, r.claim = next_fence(), claim
  put_in(job, r, burial and 'b' or 'l', now + lease_ms)
  leased[#leased + 1] = job
  answer(job, r)
end

-- Lease one job that stands in `ready`. Returns its cost, or nil when it was not to be run any more.
local function lease_ready(member)
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
  lease(job, r)
  return r.cost
end

-- Lease what is left of the first group of suspects.
local function lease_suspects()
  local first = redis.call('ZRANGE', SUSPECTS, 0, 0, 'WITHSCORES')
  local group = {}
  for _, job in ipairs(first[1] and redis.call('ZRANGEBYSCORE', SUSPECTS, first[2], first[2], 'LIMIT', 0, n) or {}) do
    local r = get_job(job)
    if not r or r.state ~= 's' then
      redis.call('ZREM', SUSPECTS, job)
    elseif not is_current(job, r) then
      remove(job, r)
    else
      group[#group + 1] = {job, r}
    end
  end
  for _, one in ipairs(group) do
    one[2].size = #group
    lease(one[1], one[2])
  end
end

-- Whether this claim is for suspects, and gets nothing else.
local function is_apart()
  if n < 1 or redis.call('ZCARD', SUSPECTS) == 0 then
    return false
  end
  if in_hand == 0 then
    return redis.call('HGET', META, 'turn') ~= 'ready' or redis.call('ZCARD', READY) == 0
  end
  local asked, till = string.match(redis.call('HGET', META, 'apart') or '', '^(.*)|(%d+)$')
  if asked == worker or not asked or tonumber(till) <= now then
    redis.call('HSET', META, 'apart', worker .. string.format('|%d', now + 2 * lease_ms))
    apart = 1
  end
  return apart == 1
end

local AT_ONCE = 8 -- so many jobs of a group are looked at in its turn, and then the next

local function cost_of(member)
  return 9999999999 - tonumber(string.match(member, '^[^|]*|[^|]*|(%d+)|'))
end

local function first_of(group, limit)
  return redis.call('ZRANGEBYLEX', READY, '[' .. group .. '|', '(' .. group .. '}', 'LIMIT', 0, limit)
end

local function tenant_of(group)
  return string.match(group, '^[^|]*|(.*)$')
end

-- How many more rows of a tenant may be in flight.
local function room_of(group)
  local tenant = tenant_of(group)
  local cap = shares[tenant] and shares[tenant].cap
  if not cap or string.sub(group, 1, 1) == DYING then
    return n
  end
  return cap - tonumber(redis.call('HGET', FLIGHTS, tenant) or '0') - (unwritten[FLIGHTS][tenant] or 0)
end

-- The priority of a group: one level more for each age that it was not served. The dying stand above all.
local function level_of(group)
  if string.sub(group, 1, 1) == DYING then
    return 10
  end
  local served = tonumber(redis.call('HGET', META, 'served|' .. group) or now)
  return math.min(9 - tonumber(string.sub(group, 1, 1)) + math.floor(math.max(now - served, 0) / age_ms), 9)
end

-- The groups of the highest level in the order of their turns, what a turn of weight 1 is worth, and the level.
local function turns()
  write_counts()
  local groups, worth, level = {}, 1, -1
  for _, group in ipairs(redis.call('HKEYS', TENANTS)) do
    local first, own = first_of(group, 1)[1], level_of(group)
    if first and own >= level and room_of(group) > 0 then
      if own > level then
        groups, worth, level = {}, 1, own
      end
      groups[#groups + 1] = group
      worth = math.max(worth, cost_of(first))
    end
  end
  table.sort(groups)
  local last = redis.call('HGET', META, 'turn|' .. level) or ''
  local after, until_last = {}, {}
  for _, group in ipairs(groups) do
    table.insert(group > last and after or until_last, group)
  end
  for _, group in ipairs(until_last) do
    after[#after + 1] = group
  end
  return after, worth, level
end

-- A group that stands alone on its own level has nobody to take turns with.
local function serve_alone(group)
  redis.call('HDEL', META, 'deficit|' .. group)
  local room = math.min(n - #claimed, room_of(group))
  for _, member in ipairs(room > 0 and first_of(group, room) or {}) do
    lease_ready(member)
  end
end

-- One group's turn. Returns whether the claim is full: then the turn is not over, and what it was worth is not added again.
local function serve(group, worth)
  local key, share = 'deficit|' .. group, shares[tenant_of(group)]
  worth = worth * (share and share.weight or 1)
  local deficit = math.min(tonumber(redis.call('HGET', META, key) or '0'), worth) + worth
  while #claimed < n do
    local room = math.min(n - #claimed, room_of(group), AT_ONCE)
    local members = room > 0 and first_of(group, room) or {}
    if #members == 0 then
      redis.call('HDEL', META, key)
      return false
    end
    for _, member in ipairs(members) do
      if cost_of(member) > deficit then
        redis.call('HSET', META, key, deficit)
        return false
      end
      deficit = deficit - (lease_ready(member) or 0)
    end
  end
  redis.call('HSET', META, key, deficit - worth)
  return true
end

-- Count the group of the first job again, if a lost key made it unknown. Returns whether it was.
local function count_unknown()
  local first = redis.call('ZRANGE', READY, 0, 0)[1]
  local group = first and string.match(first, '^([^|]*|[^|]*)|')
  return group and redis.call('HSETNX', TENANTS, group, 1) == 1
end

local function serve_ready()
  while #claimed < n do
    local groups, worth, level = turns()
    if #groups == 0 and not count_unknown() then break end
    local alone = #groups == 1 and (level == 10 or level == 9 - tonumber(string.sub(groups[1], 1, 1)))
    if alone then
      serve_alone(groups[1])
      redis.call('HSET', META, 'turn|' .. level, groups[1])
      write_counts()
      if redis.call('HEXISTS', TENANTS, groups[1]) == 1 then
        redis.call('HSET', META, 'served|' .. groups[1], now)
      end
    end
    for _, group in ipairs(alone and {} or groups) do
      local full = serve(group, worth)
      write_counts()
      if redis.call('HEXISTS', TENANTS, group) == 1 then
        redis.call('HSET', META, 'served|' .. group, now)
      end
      if full then break end
      redis.call('HSET', META, 'turn|' .. level, group)
    end
  end
end

if is_paused() then
  return reply()
end
if is_apart() then
  if apart == 0 then
    lease_suspects()
  end
else
  serve_ready()
end
if in_hand == 0 then
  redis.call('HSET', META, 'turn', #claimed > 0 and claimed[1][12] == 1 and 'ready' or 'suspects')
end
if #leased > 0 then
  for first = 1, #leased, 1000 do
    redis.call('RPUSH', CLAIM, unpack(leased, first, math.min(first + 999, #leased)))
  end
  redis.call('PEXPIRE', CLAIM, lease_ms)
end
return reply()
