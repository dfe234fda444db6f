-- settle: report leased jobs as done, or to be tried again later.
--
-- KEYS   1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 waits  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights  14 wake
-- ARGV   1 the reports, each a line <job>|<round>|<fence>|<claim id>|<delay>. With a delay, the job is tried again after that
--        many ms; without one, it is done
-- Reply  the numbers, from 1, of leases that were lost: they no longer held, and their batch is still on the lane. Nothing
--        changed for those
--
-- A row that is done, other than by burial, ends the streak of deaths. A suspect that is reported to be tried again is no longer
-- a suspect, since it did not crash its worker.

redis.call('ZREM', READY, '') -- it changes nothing, but Redis lets a script that has written run even at maxmemory
local lost, finished = {}, 0
each_lease(ARGV[1], function(number, job, r, held, delay, fence)
  if not held then
    lost[#lost + 1] = not was_forgotten(job, r, fence) and number or nil
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
write()
if finished > 0 and redis.call('ZCARD', READY) > 0 then
  wake_workers() -- a tenant that was at its cap may have room again
end
return lost
