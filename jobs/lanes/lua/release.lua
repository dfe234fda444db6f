-- release: give leased jobs back, so that their attempt does not count. A suspect goes back to its group, a burial to
-- the dying.
--
-- KEYS   1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 waits  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights  14 wake
-- ARGV   1 the leases, each a line <job>|<round>|<fence>|<claim id>|
-- Reply  the numbers, from 1, of leases that no longer held: nothing changed for those

redis.call('ZREM', READY, '') -- it changes nothing, but Redis lets a script that has written run even at maxmemory
local lost = {}
each_lease(ARGV[1], function(number, job, r, held)
  if not held then
    lost[#lost + 1] = number
  elseif not is_current(r) then
    remove(job, r)
  else
    take_out(job, r)
    join_round(r)
    if r.state == 'b' then
      put_in(job, r, 'y')
    else
      forget_lost_lease(r)
      r.attempts = math.max(r.attempts - 1, 0)
      local suspect = r.size > 0
      r.size = 0
      put_in(job, r, suspect and 's' or 'r')
    end
  end
end)
write()
wake_workers()
return lost
