-- feed: put rows of a batch on the lane and move its cursor, or change nothing.
--
-- KEYS   1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 waits  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights  14 wake
-- ARGV   1 batch  2 round  3 expected cursor  4 next cursor  5 1 at the end of the input, else 0
--        6 attempts after which a row is dying  7 1 to let leased jobs of the round before run to their end, else 0
--        8 when the batch is due, in ms; 0 if it is never due
--        then two values for each row: <row>, or <row>|<attempts>|<crashes>|<solo crashes> if it was tried; and its payload
-- Reply  {accepted, refused, round, cursor}. accepted: 1 if the rows were added and the cursor moved. refused: 1 if the
--        lane knows a later round, or the batch is closed. round and cursor: of the batch, as they are now
--
-- A batch that the lane does not know, or knows in an older round, is first opened anew at cursor 0. Rows that are on the lane
-- already are skipped.

local batch, round, cursor = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local record = get_batch(batch)
if record and record.round > round then
  return {0, 1, record.round, record.cursor}
end
if record and record.round == round and record.closed then
  return {0, 1, record.round, record.cursor}
end
if not record or record.round < round then
  local kept = ARGV[7] == '1' and record and not record.closed and record.round == round - 1 and record.round or nil
  if record then
    each_job(batch, function(job, r)
      if not r then
        removed_payloads[#removed_payloads + 1] = job
      elseif not (kept and is_leased(r) and tonumber(r.round) == kept) then
        remove(job, r)
      end
    end)
  end
  record = {round = round, cursor = 0, at_end = false, closed = false, version = add_to_meta('version', 1), kept = kept,
            due = tonumber(ARGV[8]) > 0 and tonumber(ARGV[8]) or nil}
  put_batch(batch, record)
  write()
end
if record.cursor ~= cursor then
  return {0, 0, record.round, record.cursor}
end
local most_attempts = tonumber(ARGV[6])
local jobs, live, payloads = {}, {}, {}
for i = 9, #ARGV, 2 do
  jobs[#jobs + 1] = batch .. '/' .. string.match(ARGV[i], '^%d+')
end
for i, payload in ipairs(read_fields(PAYLOAD, jobs)) do
  live[jobs[i]] = payload and true
end
for i, job in ipairs(jobs) do
  local row, payload = ARGV[7 + 2 * i], ARGV[8 + 2 * i]
  if not live[job] then
    local r = fresh_from(job, payload)
    live[job] = true
    payloads[#payloads + 1] = job
    payloads[#payloads + 1] = payload
    bytes_change = bytes_change + r.bytes
    local attempts, crashes, solo = string.match(row, '|(%d+)|(%d+)|(%d+)$')
    if attempts then
      r.attempts, r.crashes, r.solo, r.fresh = tonumber(attempts), tonumber(crashes), tonumber(solo), false
    end
    put_in(job, r, (r.attempts >= most_attempts or r.solo >= MOST_SOLO) and 'y' or 'r')
  end
end
call_with('HSET', PAYLOAD, payloads)
write()
record.cursor = tonumber(ARGV[4])
record.at_end = ARGV[5] == '1'
put_batch(batch, record)
if payloads[1] then
  wake_workers()
end
return {1, 0, record.round, record.cursor}
