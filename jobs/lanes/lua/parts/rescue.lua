-- rescue: put before claim. What becomes of jobs whose lease ran out.
--
-- It costs them a crash, never an attempt. Jobs that were lost together, with one incarnation of a worker, are suspects:
-- they are claimed apart, in two halves. A crash is solo when the job was claimed apart as the only one; after the second
-- the job is dying. When workers die again and again and no row is finished in between, and not only a few jobs are
-- involved, then the model or the node is at fault: the lane is paused, and nothing is buried.

local function rescue(expired, pause_after_deaths)
  -- The jobs that ran out, by incarnation, and the incarnations in order.
  local function lost_together()
    local lost, order = {}, {}
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
          order[#order + 1] = incarnation
        end
        table.insert(lost[incarnation], {job, r})
      end
    end
    return lost, order
  end

  -- Count deaths and the distinct jobs lost in this row of them. Returns whether they are too many for it to be a job's fault.
  local function count_deaths(lost, order)
    for _, incarnation in ipairs(order) do
      if redis.call('SADD', CRASHED, 'w|' .. incarnation) == 1 then
        add_to_meta('deaths', 1)
      end
      for _, one in ipairs(lost[incarnation]) do
        redis.call('SADD', CRASHED, 'j|' .. one[1])
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

  local function crash(jobs, spare)
    local half, group = math.ceil(#jobs / 2), add_to_meta('group', 2)
    for place, one in ipairs(jobs) do
      local job, r = one[1], one[2]
      take_out(job, r)
      join_round(r)
      r.lost_fence, r.lost_claim, r.lost_solo = r.fence, r.claim, (r.size == 1 and #jobs == 1) and 1 or 0
      r.attempts, r.crashes, r.solo = math.max(r.attempts - 1, 0), r.crashes + 1, r.solo + r.lost_solo
      if spare then
        r.solo = math.min(r.solo, MOST_SOLO - 1)
      end
      r.group, r.size = place <= half and group - 1 or group, 0
      put_in(job, r, r.solo >= MOST_SOLO and 'y' or 's')
    end
  end

  local lost, order = lost_together()
  if #order == 0 then return end
  local spare = count_deaths(lost, order)
  for _, incarnation in ipairs(order) do
    crash(lost[incarnation], spare)
  end
end
