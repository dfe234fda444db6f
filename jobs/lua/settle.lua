-- settle: report leased jobs as done, or to be tried again later.
--
-- KEYS  1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 tenants  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights
-- ARGV   for each report: job, round, fence, claim id, done or retry, delay in ms
-- Reply  the numbers, from 1, of leases that no longer held: nothing changed for those
--
-- A row that is done, other than by burial, ends a row of deaths. A suspect that lived is one no more.

redis.call('ZREM', READY, '') -- a harmless first write: the script also runs at maxmemory
local lost, finished, jobs = {}, 0, {}
for i = 1, #ARGV, 6 do
  jobs[#jobs + 1] = ARGV[i]
end
load_jobs(jobs)
for i = 1, #ARGV, 6 do
  local job = ARGV[i]
  local r = get_job(job)
  if not holds(r, ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]) then
    lost[#lost + 1] = (i + 5) / 6
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
write()
return lost
