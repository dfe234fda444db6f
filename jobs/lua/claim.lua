-- claim: take reports, then lease up to n jobs. The same claim id again gives the same jobs. mend.lua, rescue.lua and
-- reports.lua are put before it.
--
-- KEYS  1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 tenants  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights
--        14 claim: LIST of the jobs of this claim id
-- ARGV   1 claim id  2 n  3 lease in ms  4 most attempts  5 worker  6 its record  7 ms after which the record is old
--        8 how many due or expired jobs to look at  9 jobs that the worker has in hand  10 most deaths in a row
--        11 ms after which a group that was not served gains a level  12 JSON: tenant -> {weight, cap of rows in flight}
--        then for each report: job, round, fence, claim id, done or retry, delay in ms
-- Reply  {jobs, ready, delayed, leased, paused, apart, reason, lost}; jobs holds three values for each: job, its record as
--        it is in `jobs`, its payload; lost has the numbers, from 1, of reports whose lease no longer held
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
local claimed, lost, apart = {}, {}, 0

local function is_paused()
  return meta('paused') == '1'
end

local function reply()
  write()
  local jobs, unread = {}, {}
  for _, job in ipairs(claimed) do
    if not known_payloads[job] then
      unread[#unread + 1] = job
    end
  end
  read_each(PAYLOAD, unread, function(job, payload)
    known_payloads[job] = payload or ''
  end)
  for _, job in ipairs(claimed) do
    local r = get_job(job)
    jobs[#jobs + 1] = job
    jobs[#jobs + 1] = r.text or encode(r)
    jobs[#jobs + 1] = known_payloads[job]
  end
  return {jobs, redis.call('ZCARD', READY) + redis.call('ZCARD', SUSPECTS), redis.call('ZCARD', DELAYED),
          redis.call('ZCARD', LEASED), is_paused() and 1 or 0, apart, meta('reason') or '', lost}
end

redis.call('HSET', WORKERS, worker, string.format('%d|', now + tonumber(ARGV[7])) .. ARGV[6])

if not is_whole() then
  mend(now, lease_ms)
end
follow_clock(now)

lost = take_reports(13)
keeps_payloads = true
local before = redis.call('LRANGE', CLAIM, 0, -1)
if #before > 0 then
  load_jobs(before)
  for _, job in ipairs(before) do
    local r = get_job(job)
    if r and is_leased(r) and r.claim == claim then
      claimed[#claimed + 1] = job
    end
  end
  return reply()
end

local due = redis.call('ZRANGEBYSCORE', DELAYED, '-inf', now, 'LIMIT', 0, look_at)
load_jobs(due)
for _, job in ipairs(due) do
  local r = get_job(job)
  if not r or r.state ~= 'd' then
    move(DELAYED, job, false)
  elseif is_current(job, r) then
    take_out(job, r)
    put_in(job, r, 'r')
  else
    remove(job, r)
  end
end

rescue(now, look_at, tonumber(ARGV[10]))
if next(moved_ready) or next(moved) then
  write()
end

-- Lease one job, which waits.
local function lease(job, r)
  local burial = r.state == 'y'
  take_out(job, r)
  if not burial then
    r.attempts = r.attempts + 1
  end
  r.fence, r.claim = add_to_meta('fence', 1), claim
  put_in(job, r, burial and 'b' or 'l', now + lease_ms)
  claimed[#claimed + 1] = job
end

local function job_of(member)
  return string.match(member, '^[^|]*|[^|]*|%d+|(.*)$')
end

-- Lease one job that stands in `ready`. Returns its cost, or nil when it was not to be run any more.
local function lease_ready(member)
  local job = job_of(member)
  local r = get_job(job)
  if not r or (r.state ~= 'r' and r.state ~= 'y') or member_of(job, r) ~= member then
    let_member_go(member) -- its record says otherwise; the next claim mends the rest
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
  local group, jobs = {}, first[1] and redis.call('ZRANGEBYSCORE', SUSPECTS, first[2], first[2], 'LIMIT', 0, n) or {}
  load_jobs(jobs)
  for _, job in ipairs(jobs) do
    local r = get_job(job)
    if not r or r.state ~= 's' then
      move(SUSPECTS, job, false)
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
    return meta('turn') ~= 'ready' or redis.call('ZCARD', READY) == 0
  end
  local asked, till = string.match(meta('apart') or '', '^(.*)|(%d+)$')
  if asked == worker or not asked or tonumber(till) <= now then
    set_meta('apart', worker .. string.format('|%d', now + 2 * lease_ms))
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

-- The same, with their jobs read at once. `members` are known when they were read before.
local function first_loaded(group, limit, members)
  members = limit > 0 and (members or first_of(group, limit)) or {}
  local jobs = {}
  for place, member in ipairs(members) do
    members[place] = place <= limit and member or nil
    jobs[place] = members[place] and job_of(member)
  end
  load_jobs(jobs)
  return members
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
  return cap - tonumber(redis.call('HGET', FLIGHTS, tenant) or '0') - ((unwritten[FLIGHTS] or {})[tenant] or 0)
end

-- The priority of a group: one level more for each age that it was not served. The dying stand above all.
local function level_of(group)
  if string.sub(group, 1, 1) == DYING then
    return 10
  end
  local served = tonumber(meta('served|' .. group) or now)
  return math.min(9 - tonumber(string.sub(group, 1, 1)) + math.floor(math.max(now - served, 0) / age_ms), 9)
end

local ahead -- the first members of the only group there is

-- The groups of the highest level in the order of their turns, what a turn of weight 1 is worth, and the level.
local function turns()
  if next(moved_ready) then
    write()
  end
  local groups, worth, level = {}, 1, -1
  local all = redis.call('HKEYS', TENANTS)
  for _, group in ipairs(all) do
    local members = first_of(group, #all == 1 and n - #claimed or 1)
    local first, own = members[1], level_of(group)
    ahead = #all == 1 and members or nil
    if first and own >= level and room_of(group) > 0 then
      if own > level then
        groups, worth, level = {}, 1, own
      end
      groups[#groups + 1] = group
      worth = math.max(worth, cost_of(first))
    end
  end
  table.sort(groups)
  local last = meta('turn|' .. level) or ''
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
  set_meta('deficit|' .. group, false)
  local room = math.min(n - #claimed, room_of(group))
  for _, member in ipairs(first_loaded(group, room, ahead)) do
    lease_ready(member)
  end
end

-- One group's turn. Returns whether the claim is full: then the turn is not over, and what it was worth is not added again.
local function serve(group, worth)
  local key, share = 'deficit|' .. group, shares[tenant_of(group)]
  worth = worth * (share and share.weight or 1)
  local deficit = math.min(number_in_meta(key), worth) + worth
  while #claimed < n do
    local room = math.min(n - #claimed, room_of(group), AT_ONCE)
    local members = first_loaded(group, room)
    if #members == 0 then
      set_meta(key, false)
      return false
    end
    for _, member in ipairs(members) do
      if cost_of(member) > deficit then
        set_meta(key, deficit)
        return false
      end
      deficit = deficit - (lease_ready(member) or 0)
    end
    write()
  end
  set_meta(key, deficit - worth)
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
      set_meta('turn|' .. level, groups[1])
      set_meta('served|' .. groups[1], now) -- and `write` forgets it when none of them is left
    end
    for _, group in ipairs(alone and {} or groups) do
      local full = serve(group, worth)
      write()
      if redis.call('HEXISTS', TENANTS, group) == 1 then
        set_meta('served|' .. group, now)
      end
      if full then break end
      set_meta('turn|' .. level, group)
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
  set_meta('turn', #claimed > 0 and get_job(claimed[1]).size > 0 and 'ready' or 'suspects')
end
if #claimed > 0 then
  call_on('RPUSH', CLAIM, claimed)
  redis.call('PEXPIRE', CLAIM, lease_ms)
end
return reply()
