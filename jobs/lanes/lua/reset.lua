-- reset: put the cursor of a batch back to 0, since storage showed that the lane lost rows.
--
-- KEYS   1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 waits  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights  14 wake
-- ARGV   1 batch  2 the version that was seen
-- Reply  1 if the cursor was put back; 0 if the batch is not at its end, has a job here, is closed, unknown, or of another
--        version
--
-- It announces the batch as announce.lua does, so that its rows are fed again at once.

local batch = ARGV[1]
local record = get_batch(batch)
if not record or record.closed or not record.at_end or record.version ~= tonumber(ARGV[2]) then
  return 0
end
for _, state in ipairs({'r', 'd', 'l'}) do
  if tonumber(redis.call('HGET', COUNTS, batch .. '|' .. state) or '0') > 0 then
    return 0
  end
end
record.cursor, record.at_end = 0, false
record.version = add_to_meta('version', 1)
put_batch(batch, record)
set_meta('news', text_of(now_ms()) .. '|' .. batch)
write()
wake_workers()
return 1
