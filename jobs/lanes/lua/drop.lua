-- drop: take the waiting jobs of a closed or published batch off the lane.
--
-- KEYS  1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 tenants  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights
-- ARGV   1 batch  2 round  3 1 to forget the batch, its leased jobs included  4 1 to let the leased ones run to their end:
--        then the batch is forgotten only when there are none
-- Reply  how many jobs were taken off
--
-- Names the round: when the queue knows a later one, nothing changes. Leased jobs of a closed batch stay for beat to report.

redis.call('ZREM', READY, '') -- a harmless first write: the script also runs at maxmemory
local batch, round, forget, finish = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', ARGV[4] == '1'
local record = get_batch(batch)
if not record or record.round > round then
  return 0
end
if not record.closed and not finish then
  record.closed = true
  put_batch(batch, record)
end
local dropped, running = 0, 0
local counted = 0
for _, state in ipairs({'r', 'd', 'l'}) do
  counted = counted + tonumber(redis.call('HGET', COUNTS, batch .. '|' .. state) or '0')
end
if counted ~= 0 then
  each_job(batch, function(job, r)
    if not r then
      let_go[#let_go + 1] = job
    elseif (forget and not finish) or not is_leased(r) then
      remove(job, r)
      dropped = dropped + 1
    else
      running = running + 1
    end
  end)
end
if forget and running == 0 then
  redis.call('HDEL', BATCHES, batch)
  redis.call('HDEL', COUNTS, batch .. '|r', batch .. '|d', batch .. '|l')
end
return dropped
