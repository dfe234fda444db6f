-- pause: let no more jobs of the lane be claimed, or let them be claimed again.
--
-- KEYS  1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 tenants  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights
-- ARGV   1 1 to pause, 0 to resume
-- Reply  none
--
-- To resume starts the count of deaths, and of rows that were finished, anew.

set_meta('reason', false)
if ARGV[1] == '1' then
  set_meta('paused', '1')
else
  set_meta('paused', false)
  set_meta('finished', false)
  end_row_of_deaths()
end
write()
