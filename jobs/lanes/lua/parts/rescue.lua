-- rescue: a part that is put before claim. It decides what becomes of jobs whose leases ran out (rules 11 and 34 of
-- jobs/PROTOCOL.md).
--
-- A lost lease costs its job a crash and no attempt. Jobs that were lost together, with one incarnation of a worker, become
-- suspects in two groups, each of which is claimed apart. A crash is solo if the job was claimed apart and alone; after
-- MOST_SOLO solo crashes the job is dying. The lane pauses itself when workers die again and again with no row finished in
-- between, and the lost jobs are more than a twentieth of the finished rows: the model or the node is then at fault. The death
-- that pauses the lane makes no job dying.

local function rescue(expired, pause_after_deaths)
  -- Return the lost jobs by incarnation, each as a pair {job, record}, and the incarnations in order.
  local function lost_together()
    local lost, incarnations = {}, {}
    load_jobs(expired)
    for _, job in ipairs(expired) do
      local r = get_job(job)
      if not r or not is_leased(r) then
        move(LEASED, job, false)
      elseif not is_current(r) then
        remove(job, r)
      elseif r.state == 'b' then
        take_out(job, r)
        join_round(r)
        put_in(job, r, 'y')
      else
        local incarnation = string.match(r.claim, '^(.*)%-[^-]*$') or r.claim
        if not lost[incarnation] then
          lost[incarnation] = {}
          incarnations[#incarnations + 1] = incarnation
        end
        table.insert(lost[incarnation], {job, r})
      end
    end
    return lost, incarnations
  end

  -- Count the deaths and the distinct lost jobs of this streak. Returns whether the lane pauses because of them.
  local function pause_if_too_many(lost, incarnations)
    for _, incarnation in ipairs(incarnations) do
      if redis.call('SADD', CRASHED, 'w|' .. incarnation) == 1 then
        add_to_meta('deaths', 1)
      end
      for _, pair in ipairs(lost[incarnation]) do
        redis.call('SADD', CRASHED, 'j|' .. pair[1])
      end
    end
    local deaths = number_in_meta('deaths')
    local jobs = redis.call('SCARD', CRASHED) - deaths
    local finished = number_in_meta('finished')
    if deaths < pause_after_deaths or jobs * 20 <= finished then
      return false
    end
    local reason = 'workers died %d times in a row, over %d rows, and finished none in between: the model or the node is at fault'
    set_meta('paused', '1')
    set_meta('reason', string.format(reason, deaths, jobs))
    return true
  end

  -- Turn jobs that were lost together into suspects, or into dying jobs after MOST_SOLO solo crashes.
  local function crash(pairs_lost, is_paused)
    local half, group = math.ceil(#pairs_lost / 2), add_to_meta('group', 2)
    for i, pair in ipairs(pairs_lost) do
      local job, r = pair[1], pair[2]
      take_out(job, r)
      join_round(r)
      r.lost_fence, r.lost_claim, r.lost_solo = r.fence, r.claim, (r.size == 1 and #pairs_lost == 1) and 1 or 0
      r.attempts, r.crashes, r.solo = math.max(r.attempts - 1, 0), r.crashes + 1, r.solo + r.lost_solo
      if is_paused then
        r.solo = math.min(r.solo, MOST_SOLO - 1)
      end
      r.group, r.size = i <= half and group - 1 or group, 0
      put_in(job, r, r.solo >= MOST_SOLO and 'y' or 's')
    end
  end

  local lost, incarnations = lost_together()
  if #incarnations == 0 then return end
  local is_paused = pause_if_too_many(lost, incarnations)
  for _, incarnation in ipairs(incarnations) do
    crash(lost[incarnation], is_paused)
  end
end

