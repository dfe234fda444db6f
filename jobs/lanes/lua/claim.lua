-- claim: take reports, then lease up to n jobs. The same claim id again gives the same jobs. mend.lua, rescue.lua and
-- reports.lua are put before it.
--
-- KEYS  1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 tenants  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights
--        14 claim: LIST of the jobs of this claim id
-- ARGV   1 claim id  2 n  3 the reports, as settle has them  4 worker  5 its record  6 jobs that it has in hand
--        7 lease in ms  8 ms after which the record is old  9 how many due or expired jobs to look at  10 most deaths in a row
--        11 ms after which a group that was not served gains a level  12 JSON: tenant -> {weight, cap of rows in flight}
-- Reply  {jobs, ready, delayed, leased, paused, apart, reason, lost}; jobs holds three values for each: job, its record as
--        it is in `jobs`, and its payload, or nil where the jobs are more than a few: to make a long string in Lua takes longer
--        than all else that is done for a job, so those are to be read apart, from `payload`;
--        lost has the numbers, from 1, of reports whose lease no longer held
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
local claim, n, worker, in_hand, lease_ms = ARGV[1], tonumber(ARGV[2]), ARGV[4], tonumber(ARGV[6]), tonumber(ARGV[7])
local age_ms, shares = tonumber(ARGV[11]), ARGV[12] ~= '{}' and cjson.decode(ARGV[12]) or {}
local now = now_ms()
local claimed, lost, apart = {}, {}, 0
local FEW = 4 -- the payloads of so few jobs come along with a claim

-- The level of a group that nobody has kept waiting. The dying stand above all.
local function own_level_of(group)
  local inverse = string.sub(group, 1, 1)
  return inverse == DYING and 10 or 9 - inverse
end

-- All groups of which any job is ready. Reads at once what `meta` says of them, and these fields of it.
local function all_groups(fields)
  local groups = {}
  for group, ready in pairs(counted[TENANTS]) do
    if ready ~= 0 then
      local next_field = #fields
      groups[#groups + 1] = group
      fields[next_field + 1], fields[next_field + 2] = 'served|' .. group, 'deficit|' .. group
      fields[next_field + 3] = 'turn|' .. own_level_of(group)
    end
  end
  load_meta(fields)
  return groups
end

local function reply()
  write()
  local jobs, payloads = {}, #claimed <= FEW and read(PAYLOAD, claimed) or {}
  for place, job in ipairs(claimed) do
    local r, payload = known_jobs[job], payloads[place]
    jobs[3 * place - 2], jobs[3 * place - 1], jobs[3 * place] = job, r.text or encode(r), payload or payload == false and ''
  end
  return {jobs, sizes[READY] + sizes[SUSPECTS], sizes[DELAYED], sizes[LEASED], meta('paused') == '1' and 1 or 0, apart,
          meta('reason') or '', lost}
end

show_worker(now, worker, ARGV[5], tonumber(ARGV[8]))
local in_groups = sum_of(TENANTS)
all_groups({'paused', 'reason', 'now', 'silence', 'grace', 'bytes', 'fence', 'deaths', 'finished', 'turn'})
if not is_whole(in_groups) then
  mend(now, lease_ms)
end
note_presence(now, lease_ms)

lost = take_reports(ARGV[3])
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

-- The jobs of a place whose time had come by then, as many as one claim looks at.
local function come_due(place, by)
  return sizes[place] > 0 and redis.call('ZRANGEBYSCORE', place, '-inf', text_of(by), 'LIMIT', 0, ARGV[9]) or {}
end

local due = come_due(DELAYED, now)
load_jobs(due)
for _, job in ipairs(due) do
  local r = get_job(job)
  if not r or r.state ~= 'd' then
    move(DELAYED, job, false)
  elseif is_current(r) then
    take_out(job, r)
    put_in(job, r, 'r')
  else
    remove(job, r)
  end
end

local expired = come_due(LEASED, number_in_meta('grace') > now and number_in_meta('silence') or now)
if #expired > 0 then
  rescue(expired, tonumber(ARGV[10]))
end
if next(moved_ready) or moved[SUSPECTS] then
  write()
end

local expiry, fence = text_of(now + lease_ms), number_in_meta('fence')

-- Lease one job, which waits. `member` is what stands for it in `ready`, where it does.
local function lease(job, r, member)
  local burial = r.state == 'y'
  take_out(job, r, member)
  if not burial then
    r.attempts = r.attempts + 1
  end
  fence = fence + 1
  r.fence, r.claim = text_of(fence), claim
  put_in(job, r, burial and 'b' or 'l', expiry)
  claimed[#claimed + 1] = job
end

local function cost_of(group, member)
  return 9999999999 - (tonumber(string.sub(member, #group + 2, #group + 11)) or 0)
end

-- Read jobs at once that stand in `ready`, and return them; false where a member is none of ours. All that is to be known of a
-- job that has only ever waited stands there, so that its payload is not read.
local function load_ready(group, members)
  local jobs, named, fresh_ones = {}, {}, {}
  local priority, tenant = own_level_of(group), string.sub(group, 3)
  for place, member in ipairs(members) do
    local inverse, round, bytes, job = string.match(member, '^(%d+)|(%d+)|(%d+)|(.+/%d+)$', #group + 2)
    jobs[place] = job or false
    if job then
      named[#named + 1] = job
      local r = fresh(job, round, priority, tenant, 9999999999 - inverse, bytes)
      r.member, fresh_ones[job] = member, priority < 10 and r
    end
  end
  load_jobs(named, fresh_ones)
  return jobs
end

-- Lease one job that stands in `ready`. Returns its cost, or nil when it was not to be run any more.
local function lease_ready(group, member, job)
  local r = job and get_job(job)
  if not r or (r.state ~= 'r' and r.state ~= 'y') or (r.member or member_of(job, r)) ~= member then
    move_member(group, member, false) -- its record says otherwise; the next claim mends the rest
    return nil
  end
  if not is_current(r) then
    remove(job, r, member)
    return nil
  end
  lease(job, r, member)
  return r.cost
end

-- Suspects wait. A claim of a worker with nothing in hand gets the first group of them, in turn with other jobs; of the busy
-- ones, one at a time is told to become so. Returns whether this claim is for suspects, and gets nothing else.
local function claim_apart()
  local function lease_group()
    local first = redis.call('ZRANGE', SUSPECTS, 0, 0, 'WITHSCORES')
    local group, jobs = {}, first[1] and redis.call('ZRANGEBYSCORE', SUSPECTS, first[2], first[2], 'LIMIT', 0, n) or {}
    load_jobs(jobs)
    for _, job in ipairs(jobs) do
      local r = get_job(job)
      if not r or r.state ~= 's' then
        move(SUSPECTS, job, false)
      elseif not is_current(r) then
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

  if in_hand == 0 then
    local theirs = meta('turn') ~= 'ready' or sizes[READY] == 0
    if theirs then
      lease_group()
    end
    return theirs
  end
  local asked, till = string.match(meta('apart') or '', '^(.*)|(%d+)$')
  if asked == worker or not asked or tonumber(till) <= now then
    set_meta('apart', worker .. string.format('|%d', now + 2 * lease_ms))
    apart = 1
  end
  return apart == 1
end

-- The members of a group that stand first.
local function first_of(group, limit)
  return limit > 0 and redis.call('ZRANGEBYLEX', READY, '[' .. group .. '|', '(' .. group .. '}', 'LIMIT', 0, limit) or {}
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
  return cap - counted[FLIGHTS][tenant] - (tallies[FLIGHTS][tenant] or 0)
end

-- The level of a group: one more for each age that it was not served.
local function level_of(group)
  local own, served = own_level_of(group), meta('served|' .. group)
  if own == 10 or not served then
    return own
  end
  return math.min(own + math.floor(math.max(now - served, 0) / age_ms), 9)
end

-- A group that stands alone on its own level has nobody to take turns with. Returns whether any job of it was looked at.
local function serve_alone(group, level)
  local members = first_of(group, math.min(n - #claimed, room_of(group)))
  local jobs = load_ready(group, members)
  for place, member in ipairs(members) do
    lease_ready(group, member, jobs[place])
  end
  if #members > 0 then
    set_meta('deficit|' .. group, false)
    set_meta('turn|' .. level, group)
    set_meta('served|' .. group, text_of(now)) -- and `write` forgets it when none of them is left
  end
  return #members > 0
end

-- Serve those of several groups that stand on the highest level: they take turns. Returns whether there was any.
local function serve_highest(all)
  local AT_ONCE = 8 -- so many jobs of a group are looked at in its turn, and then the next

  -- The groups in the order of their turns, what a turn of weight 1 is worth, and the level.
  local function turns()
    local groups, worth, level = {}, 1, -1
    for _, group in ipairs(all) do
      local first, own = first_of(group, 1)[1], level_of(group)
      if first and own >= level and room_of(group) > 0 then
        if own > level then
          groups, worth, level = {}, 1, own
        end
        groups[#groups + 1] = group
        worth = math.max(worth, cost_of(group, first))
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

  -- One group's turn. Returns whether the claim is full: then the turn is not over, and what it was worth is not added again.
  local function serve(group, worth)
    local key, share = 'deficit|' .. group, shares[tenant_of(group)]
    worth = worth * (share and share.weight or 1)
    local deficit = math.min(number_in_meta(key), worth) + worth
    while #claimed < n do
      local members = first_of(group, math.min(n - #claimed, room_of(group), AT_ONCE))
      local jobs = load_ready(group, members)
      if #members == 0 then
        set_meta(key, false)
        return false
      end
      for place, member in ipairs(members) do
        if cost_of(group, member) > deficit then
          set_meta(key, deficit)
          return false
        end
        deficit = deficit - (lease_ready(group, member, jobs[place]) or 0)
      end
      write()
    end
    set_meta(key, deficit - worth)
    return true
  end

  local groups, worth, level = turns()
  if #groups == 1 and level == own_level_of(groups[1]) then
    return serve_alone(groups[1], level)
  end
  for _, group in ipairs(groups) do
    local full = serve(group, worth)
    write()
    if counted[TENANTS][group] ~= 0 then
      set_meta('served|' .. group, text_of(now))
    end
    if full then break end
    set_meta('turn|' .. level, group)
  end
  return #groups > 0
end

-- Count the group of the first job again, if a lost key made it unknown. Returns whether it was.
local function count_unknown()
  local first = redis.call('ZRANGE', READY, 0, 0)[1]
  local group = first and string.match(first, '^([^|]*|[^|]*)|')
  if not group or redis.call('HSETNX', TENANTS, group, 1) == 0 then
    return false
  end
  counted[TENANTS][group] = 1
  return true
end

local function serve_ready()
  while #claimed < n and sizes[READY] > 0 do
    local all = all_groups({})
    local served = #all == 1 and serve_alone(all[1], level_of(all[1])) or #all > 1 and serve_highest(all)
    if next(moved_ready) then
      write()
    end
    if not served and not count_unknown() then break end
  end
end

if meta('paused') == '1' then
  return reply()
end
if sizes[SUSPECTS] == 0 or n < 1 or not claim_apart() then
  serve_ready()
end
if in_hand == 0 then
  set_meta('turn', #claimed > 0 and known_jobs[claimed[1]].size > 0 and 'ready' or 'suspects')
end
if #claimed > 0 then
  set_meta('fence', text_of(fence))
  call_on('RPUSH', CLAIM, claimed)
  redis.call('PEXPIRE', CLAIM, lease_ms)
end
return reply()
