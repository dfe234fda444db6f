-- claim: lease up to n jobs. The same claim id again gives the same jobs. It needs presence.lua, mend.lua, rescue.lua,
-- leasing.lua and turns.lua of parts/, which are put before it.
--
-- KEYS   1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 waits  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights  14 wake
--        15 claim: LIST of the jobs of this claim id
--        16 keeper: LIST with the name of the worker that keeps the lane, until its time to live ends (rule 47)
-- ARGV   1 claim id  2 n  3 worker  4 its record  5 how many jobs the worker has in hand  6 lease in ms
--        7 ms for which the worker is shown  8 how many due jobs, and how many expired leases, are looked at, at most
--        9 deaths in a row after which the lane pauses itself  10 ms after which a group that was not served gains a level
--        11 JSON: tenant -> {weight, cap of rows in flight}
--        12 ms for which this worker keeps the lane unless another keeps it; 0 if it does not keep the lane
-- Reply  {jobs, ready, delayed, leased, paused, apart, reason, dry, keeps, news, workers}
--        jobs: three values for each job: its name, its record as it is in `jobs`, and its payload. If there are more jobs than
--        FEW_PAYLOADS, the payloads are nil and the caller reads them: in Lua long strings would take most of the time
--        dry: 1 if this claim took the last ready job of a batch that can be fed on
--        apart: 1 if this busy worker gets no jobs, so that it can take suspects once it has no job in hand
--        keeps: 1 if this worker keeps the lane. news: what `announce` said last. workers: how many workers the lane knows
--
-- The steps: make due jobs ready, rescue jobs whose leases ran out, lease suspects or ready jobs.

redis.call('ZREM', READY, '') -- it changes nothing, but Redis lets a script that has written run even at maxmemory
local CLAIM, KEEPER = KEYS[15], KEYS[16]
local FEW_PAYLOADS = 4
local apart = 0

-- Return 1 if this worker keeps the lane from now on for the time of ARGV 12. A worker that asks for no time gives the lane up.
local function keeps()
  local keeper, keep_ms = redis.call('LRANGE', KEEPER, 0, 0)[1], tonumber(ARGV[12])
  if keeper and keeper ~= worker then
    return 0
  elseif keep_ms == 0 then
    if keeper then
      redis.call('DEL', KEEPER)
    end
    return 0
  elseif not keeper then
    redis.call('RPUSH', KEEPER, worker)
  end
  redis.call('PEXPIRE', KEEPER, keep_ms)
  return 1
end

-- Wake others if this claim leaves jobs for them: suspects, or ready jobs of which it took all that it asked for.
local function wake_others()
  local leaves_ready = known_sizes[READY] > 0 and #claimed >= n
  if (leaves_ready or known_sizes[SUSPECTS] > 0) and meta('paused') ~= '1' then
    wake_workers()
  end
end

local function reply()
  write()
  wake_others()
  local jobs, payloads = {}, #claimed <= FEW_PAYLOADS and read_fields(PAYLOAD, claimed) or {}
  for i, job in ipairs(claimed) do
    local r, payload = known_jobs[job], payloads[i]
    jobs[3 * i - 2], jobs[3 * i - 1], jobs[3 * i] = job, r.text or encode(r), payload or payload == false and ''
  end
  return {jobs, known_sizes[READY] + known_sizes[SUSPECTS], known_sizes[DELAYED], known_sizes[LEASED],
          meta('paused') == '1' and 1 or 0, apart, meta('reason') or '', dry, keeps(), meta('news') or '',
          redis.call('HLEN', WORKERS)}
end

show_worker(now, worker, ARGV[4], tonumber(ARGV[7]))
load_meta({'paused', 'reason', 'news', 'now', 'silence', 'grace', 'bytes', 'fence', 'deaths', 'finished', 'turn', 'wrong', 'aging', 'aged'})
set_meta('aging', text_of(aging_ms))
if not is_whole() then
  mend(now, lease_ms)
end
note_presence(now, lease_ms)

local claimed_before = redis.call('LRANGE', CLAIM, 0, -1)
if #claimed_before > 0 then
  load_jobs(claimed_before)
  for _, job in ipairs(claimed_before) do
    local r = get_job(job)
    if r and is_leased(r) and r.claim == claim_id then
      claimed[#claimed + 1] = job
    end
  end
  return reply()
end

-- Return the first jobs of a set whose times are not later than `by`.
local function due_jobs(set, by)
  return known_sizes[set] > 0 and redis.call('ZRANGEBYSCORE', set, '-inf', text_of(by), 'LIMIT', 0, ARGV[8]) or {}
end

local due = due_jobs(DELAYED, now)
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

local expired = due_jobs(LEASED, number_in_meta('grace') > now and number_in_meta('silence') or now)
if #expired > 0 then
  rescue(expired, tonumber(ARGV[9]))
end
if next(moved_members) or moved_jobs[SUSPECTS] then
  write()
end
fence = number_in_meta('fence')

-- Lease the first group of suspects, and no other job.
local function lease_suspects()
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
  for _, pair in ipairs(group) do
    pair[2].size = #group
    lease(pair[1], pair[2])
  end
end

-- Return whether this claim leases no ready jobs. This function is called if suspects wait. An idle worker gets suspects in one
-- claim, and ready jobs in the next. One busy worker at a time gets no jobs, so that it becomes idle.
local function serve_suspects()
  if in_hand == 0 then
    local is_their_turn = meta('turn') ~= 'ready' or known_sizes[READY] == 0
    if is_their_turn then
      lease_suspects()
    end
    return is_their_turn
  end
  local asked, asked_until = string.match(meta('apart') or '', '^(.*)|(%d+)$')
  if asked == worker or not asked or tonumber(asked_until) <= now then
    set_meta('apart', worker .. string.format('|%d', now + 2 * lease_ms))
    apart = 1
  end
  return apart == 1
end

if meta('paused') == '1' then
  return reply()
end
if known_sizes[SUSPECTS] == 0 or n < 1 or not serve_suspects() then
  serve_ready()
end
if in_hand == 0 then
  set_meta('turn', #claimed > 0 and known_jobs[claimed[1]].size > 0 and 'ready' or 'suspects')
end
if #claimed > 0 then
  set_meta('fence', text_of(fence))
  call_with('RPUSH', CLAIM, claimed)
  redis.call('PEXPIRE', CLAIM, lease_ms)
end
return reply()
