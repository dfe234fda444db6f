-- settle: report leased jobs as done, or to be tried again later. It needs parts/reports.lua, which is put before it.
--
-- KEYS   1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 tenants  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights
-- ARGV   1 the reports, each a line <job>|<round>|<fence>|<claim id>|<delay>. A job with a delay is tried again after that
--        many ms; a job without a delay is done
-- Reply  the numbers, from 1, of leases that no longer held: nothing changed for those

redis.call('ZREM', READY, '') -- it changes nothing, but Redis lets a script that has written run even at maxmemory
local lost = take_reports(ARGV[1])
write()
return lost
