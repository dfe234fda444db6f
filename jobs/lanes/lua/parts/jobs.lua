-- jobs: a part that is put before every script, after changes. It moves jobs from state to state, and tells which leases
-- still hold.

local function is_leased(r)
  return r.state == 'l' or r.state == 'b'
end

local function group_of(r)
  return (r.state == 'y' and DYING or string.char(string.byte('9') - r.priority)) .. '|' .. r.tenant
end

-- Return the member of `ready` that stands for a job.
local function member_of(job, r)
  local batch = get_batch(r.batch)
  local due = batch and tonumber(batch.due) and string.format('%013d', batch.due) or NOT_DUE
  return group_of(r) .. '|' .. due .. '|' .. r.batch .. '|' .. string.format('%010d', r.place) .. '|' .. r.cost .. '|'
    .. r.round .. '|' .. r.bytes .. '|' .. string.match(job, '%d+$')
end

-- Take a job out of the set of its state. `member` is the job's member of `ready`, if the caller knows it.
local function take_out(job, r, member)
  count_job(r, r.state, -1)
  if is_leased(r) then
    move(LEASED, job, false)
  elseif r.state == 'd' then
    move(DELAYED, job, false)
  elseif r.state == 's' then
    move(SUSPECTS, job, false)
  else
    move_member(group_of(r), member or member_of(job, r), false)
  end
end

-- Give a job a new state, and put it into the set of that state. `at` is the time when a delayed job is due, or when the
-- lease of a leased job runs out.
local function put_in(job, r, state, at)
  r.state = state
  count_job(r, state, 1)
  if is_leased(r) then
    move(LEASED, job, at)
  elseif state == 'd' then
    move(DELAYED, job, at)
  elseif state == 's' then
    move(SUSPECTS, job, r.group)
  else
    move_member(group_of(r), member_of(job, r), true)
  end
  put_job(job, r)
end

-- Remove a job from the lane, because it is settled or may not be run any more.
local function remove(job, r, member)
  take_out(job, r, member)
  known_jobs[job], unwritten_jobs[job] = false, false
  bytes_change = bytes_change - r.bytes
  removed_payloads[#removed_payloads + 1] = job
end

-- Call `act` with each job of a batch (nil: of all batches) and the job's record, which is false if it is lost. Writes the
-- changes that `act` makes.
local function each_job(batch, act)
  local jobs = {}
  local function act_on_jobs()
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
        act_on_jobs()
      end
    end
  end
  act_on_jobs()
end

-- Whether a job may still be run. Its batch must be known and open. The job must be of the batch's round; a leased job may
-- also be of the round before, if the jobs of that round may finish (rule 35).
local function is_current(r)
  local batch, round = get_batch(r.batch), tonumber(r.round)
  return batch and not batch.closed and (batch.round == round or (batch.kept == round and is_leased(r)))
end

-- Give a job the current round of its batch, because the job is to wait again.
local function join_round(r)
  r.round = text_of(get_batch(r.batch).round)
end

-- Whether a lease still holds: row, round, fence and claim id all match (rule 9).
local function holds(r, round, fence, claim)
  return r and is_leased(r) and r.round == round and r.fence == fence and r.claim == claim
end

-- Whether a lease is gone because its batch ended and was dropped from the lane (`drop`). If the lane was wiped instead, its last
-- fence is gone too, so the lease's fence is above it.
local function was_forgotten(job, r, fence)
  return not r and not get_batch(batch_of(job)) and tonumber(fence) <= number_in_meta('fence')
end

-- Read leases, each a line <job>|<round>|<fence>|<claim id>|<report>. Calls `act` with the number of the line, from 1,
-- the job, its record, whether the lease holds, the report, and the fence.
local function each_lease(lines, act)
  local jobs, rounds, fences, claims, reports = {}, {}, {}, {}, {}
  for job, round, fence, claim, report in string.gmatch(lines, '([^|]*)|(%d+)|(%d+)|([^|]*)|([^\n]*)\n') do
    local n = #jobs + 1
    jobs[n], rounds[n], fences[n], claims[n], reports[n] = job, round, fence, claim, report
  end
  load_jobs(jobs)
  for n, job in ipairs(jobs) do
    local r = get_job(job)
    act(n, job, r, holds(r, rounds[n], fences[n], claims[n]), reports[n], fences[n])
  end
end

-- Forget the lost lease of a job, since the claimer has written down the crash (rule 12).
local function forget_lost_lease(r)
  r.lost_fence, r.lost_claim, r.lost_solo = '-1', '', 0
end

-- Count deaths of workers from 0 again, because a row was finished or the lane was resumed.
local function end_streak_of_deaths()
  if meta('deaths') then
    set_meta('deaths', false)
    redis.call('DEL', CRASHED)
  end
end

