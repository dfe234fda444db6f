-- The ground that every script of a lane stands on: it is put before each of them. It runs nothing itself.
--
-- KEYS   1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 tenants  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights
--   batches  HASH batch -> {round, cursor, at_end, closed, version, kept}; kept is the round of which leased jobs may
--            still finish, although it is not the batch's any more
--   jobs     HASH job -> state|round|fence|attempts|crashes|priority|cost|bytes of its payload|tenant|claim, and of one that
--            crashed ...|lost fence|lost claim|solo crashes|group|suspects leased with it|1 if the last crash was solo
--            state: r ready, s suspect, d delayed, l leased, y dying, b leased for the burial of a dying job
--            A job that has only ever waited has none, so that it takes little room: the head of its payload says all, and
--            so does what stands for it in `ready`.
--   payload  HASH job -> <round>|<priority>|<tenant>|<cost>|, then opaque bytes
--   ready    ZSET of score 0, read by lexical ranges: <9-priority>|<tenant>|<inverse cost>|<round>|<bytes of its payload>|<job>;
--            the dying sort before all
--   delayed  ZSET job -> due        leased  ZSET job -> expiry        (milliseconds of this server)
--   tenants  HASH <9-priority>|<tenant> -> how many of its jobs are ready
--   meta     HASH paused, reason, fence, version, bytes, group, now (the last claim or beat), silence (when the last one began),
--            grace (until when leases are spared that ran out since), of deficit round robin: turn|<level>, deficit|<group>,
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
local AT_A_TIME = 1000 -- so many arguments one command gets: Lua's stack is bounded
local MANY = 16 -- where so many come at once, Redis is made to keep them as a table: a list would be read through for each
local LONG = string.rep('.', 65) -- longer than what it puts into a list
local MOST_GRACE_MS = 15000 -- in it a worker that lives beats three times
local DAY_MS = 86400000

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A whole number as it is written. Redis would write it as a fraction, which takes longer.
local function text_of(number)
  return string.format('%d', number)
end

local function batch_of(job)
  return string.match(job, '^(.*)/%d+$')
end

-- The table that a record holds; false where there is none, or it is damaged, which is as if it were lost.
local function decoded(raw)
  local fine, record = pcall(cjson.decode, raw or '')
  return fine and type(record) == 'table' and record
end

-- One command on many members or fields. Returns the sum of its replies.
local function call_on(command, key, args)
  if #args <= AT_A_TIME then
    return args[1] and redis.call(command, key, unpack(args)) or 0
  end
  local sum = 0
  for first = 1, #args, AT_A_TIME do
    sum = sum + redis.call(command, key, unpack(args, first, math.min(first + AT_A_TIME - 1, #args)))
  end
  return sum
end

-- The values of fields, each false where there is none.
local function read(key, fields)
  if #fields <= AT_A_TIME then
    return fields[1] and redis.call('HMGET', key, unpack(fields)) or {}
  end
  local values = {}
  for first = 1, #fields, AT_A_TIME do
    for i, value in ipairs(redis.call('HMGET', key, unpack(fields, first, math.min(first + AT_A_TIME - 1, #fields)))) do
      values[first + i - 1] = value
    end
  end
  return values
end

local read_batches = {}

local function get_batch(batch)
  if read_batches[batch] == nil then
    local record = decoded(redis.call('HGET', BATCHES, batch))
    read_batches[batch] = record and type(record.round) == 'number' and type(record.version) == 'number' and record or false
  end
  return read_batches[batch]
end

local function put_batch(batch, record)
  read_batches[batch] = record
  redis.call('HSET', BATCHES, batch, cjson.encode(record))
end

-- What a script changes is gathered here and in the tables below, and written by `write` with one command a key: a script
-- calls it before it reads one of the places of jobs, and at its end. Jobs and `meta` are read from here, so are never stale.

local known_meta, unwritten_meta = {}, {}

-- Read fields at once that `meta` will be asked for.
local function load_meta(fields)
  local unknown = {}
  for _, field in ipairs(fields) do
    if known_meta[field] == nil then
      unknown[#unknown + 1] = field
    end
  end
  for i, value in ipairs(read(META, unknown)) do
    known_meta[unknown[i]] = value
  end
end

local function meta(field)
  if known_meta[field] == nil then
    known_meta[field] = redis.call('HGET', META, field)
  end
  return known_meta[field]
end

-- Remember a value; false forgets the field.
local function set_meta(field, value)
  if value ~= meta(field) then
    known_meta[field], unwritten_meta[field] = value, value
  end
end

local function number_in_meta(field)
  return tonumber(meta(field) or '0')
end

-- Add to a number and return it.
local function add_to_meta(field, by)
  local sum = number_in_meta(field) + by
  set_meta(field, text_of(sum))
  return sum
end

local HEAD = '^(%d+)|(%d)|([^|]*)|(%d+)|'
local RECORD = '^(%a)|(%d+)|(%d+)|(%d+)|(%d+)|(%d)|(%d+)|(%d+)|([^|]*)|([^|]*)(.*)$'
local CRASHES = '^|(%-?%d+)|([^|]*)|(%d+)|(%d+)|(%d+)|(%d)$'
local NEVER_CRASHED = {__index = {lost_fence = '-1', lost_claim = '', solo = 0, group = 0, size = 0, lost_solo = 0}}

-- The record of a job that has only ever waited.
local function fresh(job, round, priority, tenant, cost, bytes)
  return setmetatable({batch = batch_of(job), state = 'r', round = round, fence = '0', attempts = 0, crashes = 0, claim = '',
                       priority = priority, tenant = tenant, cost = cost, bytes = bytes, fresh = true}, NEVER_CRASHED)
end

-- The same, from the head of its payload.
local function fresh_of(job, payload)
  local round, priority, tenant, cost = string.match(payload, HEAD)
  return round and fresh(job, round, priority, tenant, cost, #payload) or false
end

local COUNTED_AS = {r = 'r', d = 'd', l = 'l', y = 'r', b = 'l', s = 'r'}

-- The record of a job from its text; false where it is damaged.
local function decode(job, raw)
  local state, round, fence, attempts, crashes, priority, cost, bytes, tenant, claim, rest = string.match(raw, RECORD)
  if not (state and COUNTED_AS[state]) then
    return false
  end
  local r = {batch = batch_of(job), state = state, round = round, fence = fence, attempts = tonumber(attempts),
             crashes = crashes == '0' and 0 or tonumber(crashes), claim = claim, priority = priority, tenant = tenant, cost = cost, bytes = bytes, text = raw}
  if rest ~= '' then
    local lost_fence, lost_claim, solo, group, size, lost_solo = string.match(rest, CRASHES)
    if not lost_fence then return false end
    r.lost_fence, r.lost_claim, r.solo = lost_fence, lost_claim, tonumber(solo)
    r.group, r.size, r.lost_solo = tonumber(group), tonumber(size), tonumber(lost_solo)
  end
  return setmetatable(r, NEVER_CRASHED)
end

local function encode(r)
  local text = r.state .. '|' .. r.round .. '|' .. r.fence .. '|' .. r.attempts .. '|' .. r.crashes .. '|' .. r.priority .. '|'
    .. r.cost .. '|' .. r.bytes .. '|' .. r.tenant .. '|' .. r.claim
  if r.crashes > 0 then
    text = text .. string.format('|%s|%s|%d|%d|%d|%d', r.lost_fence, r.lost_claim, r.solo, r.group, r.size, r.lost_solo)
  end
  return text
end

local known_jobs, unwritten_jobs = {}, {}

-- Read jobs at once that `get_job` will be asked for. `fresh_ones` are their records where there is none.
local function load_jobs(jobs, fresh_ones)
  local unknown, waiting = {}, {}
  for _, job in ipairs(jobs) do
    if known_jobs[job] == nil then
      unknown[#unknown + 1] = job
    end
  end
  for i, raw in ipairs(read(JOBS, unknown)) do
    local job = unknown[i]
    local r = raw and decode(job, raw)
    if raw and not r then
      redis.call('HDEL', JOBS, job) -- damaged, which is as if it were lost; the next claim mends the rest
    end
    known_jobs[job] = r or fresh_ones and fresh_ones[job] or nil
    if not known_jobs[job] then
      waiting[#waiting + 1] = job
    end
  end
  for i, payload in ipairs(read(PAYLOAD, waiting)) do
    known_jobs[waiting[i]] = payload and fresh_of(waiting[i], payload)
  end
end

-- The record of a job, or false.
local function get_job(job)
  if known_jobs[job] == nil then
    load_jobs({job})
  end
  return known_jobs[job]
end

local function put_job(job, r)
  known_jobs[job] = r
  if not (r.fresh and r.state == 'r') then
    unwritten_jobs[job] = r
  end
end

local function group_of(r)
  return (r.state == 'y' and DYING or string.char(string.byte('9') - r.priority)) .. '|' .. r.tenant
end

local function member_of(job, r)
  return group_of(r) .. '|' .. string.format('%010d', 9999999999 - r.cost) .. '|' .. r.round .. '|' .. r.bytes .. '|' .. job
end

local tally = {} -- batch -> r, d or l -> by how many jobs it changes
local tallies = {[TENANTS] = {}, [FLIGHTS] = {}} -- hash -> field -> by how much it changes
local counted = {} -- hash -> field -> its number before that, as far as it was read
local sizes = {} -- place -> how many members it has, where that was asked
local unwritten_bytes = 0
local moved = {} -- place -> job -> score, or false
local moved_ready = {} -- group -> member -> whether it is ready
local let_go = {} -- jobs whose payloads go

local function count(fields, field, by)
  fields[field] = (fields[field] or 0) + by
end

local function count_job(batch, state, by)
  local states = tally[batch] or {}
  tally[batch] = states
  count(states, COUNTED_AS[state], by)
end

-- Put a job into a place by its score; false takes it out.
local function move(place, job, score)
  local jobs = moved[place] or {}
  moved[place] = jobs
  jobs[job] = score
end

local function move_member(group, member, ready)
  local members = moved_ready[group] or {}
  moved_ready[group] = members
  members[member] = ready
end

-- Write what changed in one place. Returns how many members it has more.
local function write_place(place, scores, score)
  local gone, come = {}, {}
  for member, at in pairs(scores) do
    if at then
      come[#come + 1] = score or at
      come[#come + 1] = member
    else
      gone[#gone + 1] = member
    end
  end
  if #come >= 2 * MANY then
    come[#come + 1], come[#come + 2] = '0', LONG
    gone[#gone + 1] = LONG
  end
  local more = call_on('ZADD', place, come) - call_on('ZREM', place, gone)
  sizes[place] = sizes[place] and sizes[place] + more
  return more
end

local function write_places()
  for place, scores in pairs(moved) do
    write_place(place, scores)
  end
  for group, members in pairs(moved_ready) do
    count(tallies[TENANTS], group, write_place(READY, members, '0'))
  end
  moved, moved_ready = {}, {}
end

local function write_jobs()
  local gone, changed = {}, {}
  for job, r in pairs(unwritten_jobs) do
    if r then
      r.text = encode(r)
      changed[#changed + 1] = job
      changed[#changed + 1] = r.text
    else
      gone[#gone + 1] = job
    end
  end
  if #changed >= 2 * MANY then
    changed[#changed + 1], changed[#changed + 2] = LONG, ''
    gone[#gone + 1] = LONG
  end
  call_on('HSET', JOBS, changed)
  call_on('HDEL', JOBS, gone)
  call_on('HDEL', PAYLOAD, let_go)
  unwritten_jobs, let_go = {}, {}
end

-- The numbers of a hash, of which those that are asked for are read at once.
local function numbers_of(hash, asked)
  local numbers, unknown = counted[hash] or {}, {}
  counted[hash] = numbers
  for field in pairs(asked) do
    if not numbers[field] then
      unknown[#unknown + 1] = field
    end
  end
  for i, value in ipairs(read(hash, unknown)) do
    numbers[unknown[i]] = tonumber(value) or 0
  end
  return numbers
end

local function write_numbers(hash, changes)
  local numbers, gone, changed = numbers_of(hash, changes), {}, {}
  for field, by in pairs(changes) do
    local before = numbers[field]
    numbers[field] = before + by
    if by ~= 0 and (numbers[field] == 0 or (numbers[field] < 0 and hash ~= COUNTS)) then
      numbers[field] = 0
      gone[#gone + 1] = field
    elseif by ~= 0 then
      changed[#changed + 1] = field
      changed[#changed + 1] = text_of(numbers[field])
    end
    if hash == TENANTS and by ~= 0 and numbers[field] == 0 then
      set_meta('served|' .. field, false)
    elseif hash == TENANTS and by > 0 and before == 0 and not meta('served|' .. field) then
      set_meta('served|' .. field, text_of(now_ms()))
    end
  end
  call_on('HDEL', hash, gone)
  call_on('HSET', hash, changed)
end

local function write_counts()
  local changes = {}
  for batch, states in pairs(tally) do
    for state, by in pairs(states) do
      changes[batch .. '|' .. state] = by
    end
  end
  tally = {}
  tallies[COUNTS] = changes
  for hash, fields in pairs(tallies) do
    if next(fields) then
      tallies[hash] = {}
      write_numbers(hash, fields)
    end
  end
  if unwritten_bytes ~= 0 then
    add_to_meta('bytes', unwritten_bytes)
    unwritten_bytes = 0
  end
end

local function write_meta()
  local gone, changed = {}, {}
  for field, value in pairs(unwritten_meta) do
    if value then
      changed[#changed + 1] = field
      changed[#changed + 1] = value
    else
      gone[#gone + 1] = field
    end
  end
  call_on('HDEL', META, gone)
  call_on('HSET', META, changed)
  unwritten_meta = {}
end

local function write()
  write_places()
  if next(unwritten_jobs) or let_go[1] then
    write_jobs()
  end
  write_counts()
  if next(unwritten_meta) then
    write_meta()
  end
end

local function is_leased(r)
  return r.state == 'l' or r.state == 'b'
end

-- Take a job out of the place where its state puts it. `member` is what stands for it in `ready`, where that is known.
local function take_out(job, r, member)
  count_job(r.batch, r.state, -1)
  if is_leased(r) then
    move(LEASED, job, false)
    count(tallies[FLIGHTS], r.tenant, -1)
  elseif r.state == 'd' then
    move(DELAYED, job, false)
  elseif r.state == 's' then
    move(SUSPECTS, job, false)
  else
    move_member(group_of(r), member or member_of(job, r), false)
  end
end

-- Put a job into the place of its new state. `at` is the due time or the expiry, where there is one.
local function put_in(job, r, state, at)
  r.state = state
  count_job(r.batch, state, 1)
  if is_leased(r) then
    move(LEASED, job, at)
    count(tallies[FLIGHTS], r.tenant, 1)
  elseif state == 'd' then
    move(DELAYED, job, at)
  elseif state == 's' then
    move(SUSPECTS, job, r.group)
  else
    move_member(group_of(r), member_of(job, r), true)
  end
  put_job(job, r)
end

-- Forget a job: it is settled, or its batch is closed.
local function remove(job, r, member)
  take_out(job, r, member)
  known_jobs[job], unwritten_jobs[job] = false, false
  unwritten_bytes = unwritten_bytes - r.bytes
  let_go[#let_go + 1] = job
end

-- Call `act` with each job of a batch, or of all, and with its record or false. What it changes is written as it goes.
local function each_job(batch, act)
  local jobs = {}
  local function act_on_these()
    load_jobs(jobs)
    for _, job in ipairs(jobs) do
      act(job, known_jobs[job])
    end
    write()
    jobs, known_jobs = {}, {}
  end
  for _, job in ipairs(redis.call('HKEYS', PAYLOAD)) do
    if not batch or batch_of(job) == batch then
      jobs[#jobs + 1] = job
      if #jobs == AT_A_TIME then
        act_on_these()
      end
    end
  end
  act_on_these()
end

-- Whether a job may still be run: its batch is here, open, and in the job's round, or lets it finish an older one.
local function is_current(r)
  local batch, round = get_batch(r.batch), tonumber(r.round)
  return batch and not batch.closed and (batch.round == round or (batch.kept == round and is_leased(r)))
end

-- A job that goes back to wait, waits for the batch's round.
local function join_round(r)
  r.round = text_of(get_batch(r.batch).round)
end

-- Whether a lease still holds: round, fence and claim id all match.
local function holds(r, round, fence, claim)
  return r and is_leased(r) and r.round == round and r.fence == fence and r.claim == claim
end

-- Read leases, of which each is a line <job>|<round>|<fence>|<claim id>|<more>. Calls `each` with the number of the line, from
-- 1, the job, its record, whether the lease holds, and what more there is.
local function each_lease(lines, each)
  local jobs, rounds, fences, claims, mores = {}, {}, {}, {}, {}
  for job, round, fence, claim, more in string.gmatch(lines, '([^|]*)|(%d+)|(%d+)|([^|]*)|([^\n]*)\n') do
    local n = #jobs + 1
    jobs[n], rounds[n], fences[n], claims[n], mores[n] = job, round, fence, claim, more
  end
  load_jobs(jobs)
  for n, job in ipairs(jobs) do
    local r = get_job(job)
    each(n, job, r, holds(r, rounds[n], fences[n], claims[n]), mores[n])
  end
end

-- The crash that led to this lease has been reported, and is told no more.
local function forget_lost(r)
  r.lost_fence, r.lost_claim, r.lost_solo = '-1', '', 0
end

-- Nobody died since the last row was finished, or since the lane was resumed.
local function end_row_of_deaths()
  if meta('deaths') then
    set_meta('deaths', false)
    redis.call('DEL', CRASHED)
  end
end

-- The clock was set back, or another server's clock is behind: what is leased or delayed must not wait until it has caught up.
local function follow_clock(back)
  for _, key in ipairs({LEASED, DELAYED}) do
    local found = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for i = 1, #found, 2 do
      redis.call('ZADD', key, tonumber(found[i + 1]) - back, found[i])
    end
  end
  for _, field in ipairs({'silence', 'grace'}) do
    if meta(field) then
      set_meta(field, text_of(meta(field) - back))
    end
  end
end

-- Note that a worker is here. If for longer than a lease none was, then Redis could not be reached, or its clock jumped: those
-- who live get a while to say so, in which leases are not rescued that ran out since. What ran out before has had its time. A
-- lane without a note has no leases, or a claim mends them anew.
local function note_presence(now, lease_ms)
  local last = tonumber(meta('now')) or now
  set_meta('now', text_of(now))
  if last - now > 1000 then
    follow_clock(last - now)
  elseif now - last > lease_ms then
    set_meta('silence', text_of(last))
    set_meta('grace', text_of(now + math.min(lease_ms, MOST_GRACE_MS)))
  end
end

-- Show a worker for so long. One that is new here takes the records along that are a day old.
local function show_worker(now, worker, record, shown_ms)
  if redis.call('HSET', WORKERS, worker, text_of(now + shown_ms) .. '|' .. record) == 0 then return end
  local gone, workers = {}, redis.call('HGETALL', WORKERS)
  for i = 1, #workers, 2 do
    if (tonumber(string.match(workers[i + 1], '^(%d+)|')) or 0) < now - DAY_MS then
      gone[#gone + 1] = workers[i]
    end
  end
  call_on('HDEL', WORKERS, gone)
end
