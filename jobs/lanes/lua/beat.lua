-- beat: extend leases, and report the leases that are gone. It needs parts/presence.lua, which is put before it.
--
-- KEYS   1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 waits  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights  14 wake
-- ARGV   1 lease in ms  2 worker  3 the worker's record  4 ms for which the worker is shown
--        5 the leases, each a line <job>|<round>|<fence>|<claim id>|
-- Reply  {lost, cancelled, forgotten}: numbers of leases, from 1. lost: they no longer hold. cancelled: their batch was closed.
--        forgotten: those of `lost` whose batch had ended and is no longer on the lane

redis.call('ZREM', READY, '') -- it changes nothing, but Redis lets a script that has written run even at maxmemory
local now, lease_ms = now_ms(), tonumber(ARGV[1])
local expiry = text_of(now + lease_ms)
note_presence(now, lease_ms)
show_worker(now, ARGV[2], ARGV[3], tonumber(ARGV[4]))
local lost, cancelled, forgotten = {}, {}, {}
each_lease(ARGV[5], function(number, job, r, held, _, fence)
  if not held then
    lost[#lost + 1] = number
    forgotten[#forgotten + 1] = was_forgotten(job, r, fence) and number or nil
  else
    move(LEASED, job, expiry)
    if not is_current(r) then
      cancelled[#cancelled + 1] = number
    end
  end
end)
write()
return {lost, cancelled, forgotten}
