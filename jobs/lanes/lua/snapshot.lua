-- snapshot: return the lane as it is at this moment, or some of its batches alone. Writes nothing.
--
-- KEYS   1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 waits  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights  14 wake
-- ARGV   1 1 for all batches and the workers, else 0  then the wanted batches; none for all batches
-- Reply  {paused, ready, delayed, leased, bytes, batches, counts, workers, reason, suspects, now}
--        batches, counts and workers: fields and values, as HGETALL gives them. The caller leaves out workers that are no longer
--        shown: Lua would take longer. ready counts the suspects too. now: in ms

local wanted = {unpack(ARGV, 2)}
-- Return the fields in `asked` and their values, without those that are missing; all fields if `asked` is nil.
local function fields_of(hash, asked)
  local flat = {}
  for i, value in ipairs(asked and read_fields(hash, asked) or {}) do
    if value then
      flat[#flat + 1], flat[#flat + 2] = asked[i], value
    end
  end
  return asked and flat or redis.call('HGETALL', hash)
end

local batches, counts = wanted[1] and {} or nil, wanted[1] and {} or nil
for i, batch in ipairs(wanted) do
  batches[i] = batch
  counts[3 * i - 2], counts[3 * i - 1], counts[3 * i] = batch .. '|r', batch .. '|d', batch .. '|l'
end
return {meta('paused') == '1' and 1 or 0, redis.call('ZCARD', READY) + redis.call('ZCARD', SUSPECTS), redis.call('ZCARD', DELAYED),
        redis.call('ZCARD', LEASED), number_in_meta('bytes'),
        fields_of(BATCHES, batches), fields_of(COUNTS, counts), ARGV[1] == '1' and redis.call('HGETALL', WORKERS) or {},
        meta('reason') or '', redis.call('ZCARD', SUSPECTS), text_of(now_ms())}
