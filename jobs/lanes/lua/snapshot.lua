-- snapshot: return the lane as it is at this moment. Writes nothing.
--
-- KEYS   1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 tenants  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights
-- ARGV   none
-- Reply  {paused, ready, delayed, leased, bytes, batches, counts, workers, reason, suspects}
--        batches and counts: as HGETALL gives them. workers: the records of the workers that are shown. ready counts the
--        suspects too

local now = now_ms()
local shown = {}
local workers = redis.call('HGETALL', WORKERS)
for i = 2, #workers, 2 do
  local expiry, record = string.match(workers[i], '^(%d+)|(.*)$')
  if expiry and tonumber(expiry) > now then
    shown[#shown + 1] = record
  end
end
return {meta('paused') == '1' and 1 or 0, redis.call('ZCARD', READY) + redis.call('ZCARD', SUSPECTS), redis.call('ZCARD', DELAYED),
        redis.call('ZCARD', LEASED), number_in_meta('bytes'),
        redis.call('HGETALL', BATCHES), redis.call('HGETALL', COUNTS), shown,
        meta('reason') or '', redis.call('ZCARD', SUSPECTS)}
