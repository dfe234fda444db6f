-- settle: report leased jobs as done, or to be tried again later.
--
-- KEYS  1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 tenants  8 meta  9 workers  10 counts
-- ARGV   for each report: job, round, fence, claim id, done or retry, delay in ms
-- Reply  the numbers, from 1, of leases that no longer held: nothing changed for those

redis.call('ZREM', READY, '') -- a harmless first write: the script also runs at maxmemory
local lost = {}
for i = 1, #ARGV, 6 do
  local job = ARGV[i]
  local r = get_job(job)
  if not holds(r, ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]) then
    lost[#lost + 1] = (i + 5) / 6
  elseif ARGV[i + 4] == 'retry' and is_current(job, r) then
    take_out(job, r)
    r.lost_fence, r.lost_claim = nil, nil
    put_in(job, r, 'd', now_ms() + tonumber(ARGV[i + 5]))
  else
    remove(job, r)
  end
end
return lost
