-- reports: put before settle and claim. What becomes of leased jobs that are reported as done, or to be tried again later.
--
-- A row that is done, other than by burial, ends a row of deaths. A suspect that lived is one no more.

-- The reports stand in ARGV from `first` on: job, round, fence, claim id, done or retry, delay in ms. Returns the numbers,
-- from 1, of leases that no longer held: nothing changes for those.
local function take_reports(first)
  local lost, finished, jobs = {}, 0, {}
  for i = first, #ARGV, 6 do
    jobs[#jobs + 1] = ARGV[i]
  end
  load_jobs(jobs)
  for place, job in ipairs(jobs) do
    local i = first + (place - 1) * 6
    local r = get_job(job)
    if not holds(r, ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]) then
      lost[#lost + 1] = place
    elseif ARGV[i + 4] == 'retry' and is_current(job, r) then
      take_out(job, r)
      forget_lost(r)
      r.group, r.size = 0, 0
      join_round(job, r)
      put_in(job, r, 'd', now_ms() + tonumber(ARGV[i + 5]))
    else
      finished = finished + (r.state == 'l' and 1 or 0)
      remove(job, r)
    end
  end
  if finished > 0 then
    add_to_meta('finished', finished)
    end_row_of_deaths()
  end
  return lost
end
