-- mend: a part that is put before claim. A server that evicts keys loses whole keys. Mending makes the lost keys again from
-- `payload` and `jobs` (rule 25 of jobs/PROTOCOL.md). Rows that are still missing are fed again after the audit (rule 13).

local ALL_KNOWN = {__index = function() return 0 end} -- for a hash that was read as a whole: a field that it lacks is 0

-- Read all numbers of a hash. Returns their sum; nil if a number is negative, because another number must then be too high.
local function sum_of(hash)
  local numbers, sum, least = setmetatable({}, ALL_KNOWN), 0, 0
  local fields = redis.call('HGETALL', hash)
  for i = 1, #fields, 2 do
    local number = tonumber(fields[i + 1]) or 0
    numbers[fields[i]], sum, least = number, sum + number, math.min(least, number)
  end
  known_numbers[hash] = numbers
  return least == 0 and sum or nil
end

-- Whether `counts` agrees with the sizes of the sets.
local function counts_agree(waiting, delayed, leased)
  local of_state = {r = 0, d = 0, l = 0}
  if not sum_of(COUNTS) then
    return false
  end
  for field, number in pairs(known_numbers[COUNTS]) do
    local state = string.sub(field, -1)
    of_state[state] = (of_state[state] or 0) + number
  end
  return of_state.r == waiting and of_state.d == delayed and of_state.l == leased
end

-- Whether all keys agree on how many jobs there are. `in_groups` is the sum of `tenants`. A fresh job has no record,
-- so `jobs` may have fewer than `payload`. Remembers the sizes and numbers that it reads.
local function is_whole(in_groups)
  local ready, suspects = redis.call('ZCARD', READY), redis.call('ZCARD', SUSPECTS)
  local delayed, leased = redis.call('ZCARD', DELAYED), redis.call('ZCARD', LEASED)
  local jobs, records, bytes = redis.call('HLEN', PAYLOAD), redis.call('HLEN', JOBS), number_in_meta('bytes')
  local never_fresh = suspects + delayed + leased
  known_sizes[READY], known_sizes[SUSPECTS], known_sizes[DELAYED], known_sizes[LEASED] = ready, suspects, delayed, leased
  return jobs == ready + never_fresh and records >= never_fresh and records <= jobs
    and counts_agree(ready + suspects, delayed, leased) and ready == in_groups and leased == sum_of(FLIGHTS)
    and bytes >= jobs and (jobs > 0 or bytes == 0)
end

-- Make the keys again. A job without a payload is removed: it does not run, and it does not fail. A job without a record
-- begins anew as a fresh job. Each lease now runs out `lease_ms` from `now`.
local function mend(now, lease_ms)
  redis.call('DEL', READY, SUSPECTS, DELAYED, LEASED, TENANTS, COUNTS, FLIGHTS)
  for _, set in ipairs({READY, SUSPECTS, DELAYED, LEASED}) do
    known_sizes[set] = 0
  end
  for _, hash in ipairs({TENANTS, COUNTS, FLIGHTS}) do
    known_numbers[hash] = setmetatable({}, ALL_KNOWN)
  end
  if not meta('deaths') then
    redis.call('DEL', CRASHED)
  end
  set_meta('bytes', false)
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

