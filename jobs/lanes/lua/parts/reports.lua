-- reports: a part that is put before settle and claim. It takes reports of leased jobs that are done, or to be tried again
-- later.

-- Take reports, each a line of `each_lease`. Such a line ends in the ms after which the job is to be tried again, or in
-- nothing if the job is done. A row that is done, other than by burial, ends the streak of deaths. A suspect that is to be
-- tried again is no longer a suspect, since it did not crash. Returns the numbers, from 1, of leases that no longer held:
-- nothing changes for their jobs.
local function take_reports(lines)
  local lost, finished = {}, 0
  each_lease(lines, function(number, job, r, held, delay)
    if not held then
      lost[#lost + 1] = number
    elseif delay ~= '' and is_current(r) then
      take_out(job, r)
      forget_lost_lease(r)
      r.group, r.size = 0, 0
      join_round(r)
      put_in(job, r, 'd', now_ms() + tonumber(delay))
    else
      finished = finished + (r.state == 'l' and 1 or 0)
      remove(job, r)
    end
  end)
  if finished > 0 then
    add_to_meta('finished', finished)
    end_streak_of_deaths()
  end
  return lost
end

