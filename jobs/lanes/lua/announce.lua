-- announce: say that a batch was accepted, reopened or resumed, so that the keeper of the lane looks at it at once.
--
-- KEYS   1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 waits  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights  14 wake
-- ARGV   1 batch
-- Reply  none
--
-- It wakes workers too, since there may be no keeper at this moment.

set_meta('news', text_of(now_ms()) .. '|' .. ARGV[1])
write()
wake_workers()
