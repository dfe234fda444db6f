-- pause: let no more jobs of the lane be claimed, or let them be claimed again.
--
-- KEYS  1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 tenants  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights
-- ARGV   1 1 to pause, 0 to resume
-- Reply  none
--
-- To resume starts the count of deaths, and of rows that were finished, anew.

redis.call('HDEL', META, 'reason')
if ARGV[1] == '1' then
  redis.call('HSET', META, 'paused', 1)
else
  redis.call('HDEL', META, 'paused', 'finished')
  end_row_of_deaths()
end
