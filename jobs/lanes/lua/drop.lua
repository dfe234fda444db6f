-- drop: take the waiting jobs of a batch off the lane, and close the batch there, unless ARGV 4 is 1.
--
-- KEYS   1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 waits  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights  14 wake
-- ARGV   1 batch  2 round  3 1 to forget the batch and its leased jobs, else 0
--        4 1 to let leased jobs run to their end, else 0. With 1, the batch is forgotten only if no job of it is leased
-- Reply  how many jobs were taken off
--
-- If the lane knows a later round of the batch, nothing changes. Leased jobs of a closed batch stay, so that beat reports them.

redis.call('ZREM', READY, '') -- it changes nothing, but Redis lets a script that has written run even at maxmemory
local batch, round, forget, finish = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', ARGV[4] == '1'
local record = get_batch(batch)
if not record or record.round > round then
  return 0
end
if not record.closed and not finish then
  record.closed = true
  put_batch(batch, record)
end
local dropped, running, live = 0, 0, 0
for _, state in ipairs({'r', 'd', 'l'}) do
  live = live + tonumber(redis.call('HGET', COUNTS, batch .. '|' .. state) or '0')
end
if live ~= 0 then
  each_job(batch, function(job, r)
    if not r then
      removed_payloads[#removed_payloads + 1] = job
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
