-- reports: put before settle and claim. What becomes of leased jobs that are reported as done, or to be tried again later.
--
-- A row that is done, other than by burial, ends a row of deaths. A suspect that lived is one no more.

-- Take reports, as lines of `each_lease`: with each lease stands after how many ms its job is to be tried again, or nothing
-- when it is done. Returns the numbers, from 1, of leases that no longer held: nothing changes for those.
local function take_reports(lines)
  local lost, finished = {}, 0
  each_lease(lines, function(number, job, r, held, delay)
    if not held then
      lost[#lost + 1] = number
    elseif delay ~= '' and is_current(r) then
      take_out(job, r)
      forget_lost(r)
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
    end_row_of_deaths()
  end
  return lost
end
