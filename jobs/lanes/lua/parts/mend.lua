-- mend: a part that is put before claim. A server that evicts keys loses whole keys. Mending makes the lost keys again from
-- `payload` and `jobs` (rule 25 of jobs/PROTOCOL.md). Rows that are still missing are fed again after the audit (rule 13).

local ALL_KNOWN = {__index = function() return 0 end} -- for a hash that was emptied: all numbers are 0

-- Whether all keys agree on how many jobs there are. A fresh job has no record, so `jobs` may have fewer than `payload`.
-- Remembers the sizes that it reads. Only sums are compared. If the count of one batch or tenant is too high and the sums
-- agree, another count is too low. That count shows the fault later, when it goes below 0 (`wrong`).
local function is_whole()
  local ready, suspects = redis.call('ZCARD', READY), redis.call('ZCARD', SUSPECTS)
  local delayed, leased, groups = redis.call('ZCARD', DELAYED), redis.call('ZCARD', LEASED), redis.call('ZCARD', WAITS)
  local jobs, records, bytes = redis.call('HLEN', PAYLOAD), redis.call('HLEN', JOBS), number_in_meta('bytes')
  local never_fresh = suspects + delayed + leased
  known_sizes[READY], known_sizes[SUSPECTS], known_sizes[DELAYED], known_sizes[LEASED] = ready, suspects, delayed, leased
  local counts = numbers_of(COUNTS, {['|r'] = true, ['|d'] = true, ['|l'] = true})
  return meta('wrong') ~= '1' and jobs == ready + never_fresh and records >= never_fresh and records <= jobs
    and counts['|r'] == ready + suspects and counts['|d'] == delayed and counts['|l'] == leased
    and numbers_of(FLIGHTS, {[ALL] = true})[ALL] == leased and (ready == 0) == (groups == 0)
    and bytes >= jobs and (jobs > 0 or bytes == 0)
end

-- Make the keys again. A job without a payload is removed: it does not run, and it does not fail. A job without a record
-- begins anew as a fresh job. Each lease now runs out `lease_ms` from `now`.
local function mend(now, lease_ms)
  redis.call('DEL', READY, SUSPECTS, DELAYED, LEASED, WAITS, COUNTS, FLIGHTS)
  for _, set in ipairs({READY, SUSPECTS, DELAYED, LEASED}) do
    known_sizes[set] = 0
  end
  for _, hash in ipairs({COUNTS, FLIGHTS}) do
    known_numbers[hash] = setmetatable({}, ALL_KNOWN)
  end
  if not meta('deaths') then
    redis.call('DEL', CRASHED)
  end
  set_meta('bytes', false)
  set_meta('wrong', false)
  each_job(nil, function(job, r)
    if r then
      r.bytes = redis.call('HSTRLEN', PAYLOAD, job)
      bytes_change = bytes_change + r.bytes
      put_in(job, r, r.state, is_leased(r) and now + lease_ms or now)
    else
      removed_payloads[#removed_payloads + 1] = job
    end
  end)
  for _, job in ipairs(redis.call('HKEYS', JOBS)) do
    if redis.call('HEXISTS', PAYLOAD, job) == 0 then
      redis.call('HDEL', JOBS, job)
    end
  end
end

