-- pause: pause the lane, so that no jobs of it are claimed, or resume it.
--
-- KEYS   1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 waits  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights  14 wake
-- ARGV   1 1 to pause, 0 to resume
-- Reply  none
--
-- Pausing and resuming both remove the reason for which the lane paused itself. Resuming also counts deaths and finished rows
-- from 0 again.

set_meta('reason', false)
if ARGV[1] == '1' then
  set_meta('paused', '1')
else
  set_meta('paused', false)
  set_meta('finished', false)
  end_streak_of_deaths()
  wake_workers()
end
write()
