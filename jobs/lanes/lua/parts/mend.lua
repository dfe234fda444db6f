-- mend: put before claim. A server that evicts loses whole keys: make all other keys again from `payload`
-- and `jobs`. Rows that are then missing are fed again, once storage is audited.

local ALL = {__index = function() return 0 end} -- of a hash of which every number is known

-- Read all numbers of a hash. Returns their sum.
local function sum_of(hash)
  local numbers, sum = setmetatable({}, ALL), 0
  local fields = redis.call('HGETALL', hash)
  for i = 1, #fields, 2 do
    local number = tonumber(fields[i + 1]) or 0
    numbers[fields[i]], sum = number, sum + number
  end
  counted[hash] = numbers
  return sum
end

-- Whether all keys tell of the same jobs, of which so many are ready by `tenants`. Of those that only ever waited, `jobs` knows
-- nothing. Remembers what it counts.
local function is_whole(in_groups)
  local ready, suspects = redis.call('ZCARD', READY), redis.call('ZCARD', SUSPECTS)
  local delayed, leased = redis.call('ZCARD', DELAYED), redis.call('ZCARD', LEASED)
  local jobs, known, bytes = redis.call('HLEN', PAYLOAD), redis.call('HLEN', JOBS), number_in_meta('bytes')
  local others = suspects + delayed + leased
  sizes[READY], sizes[SUSPECTS], sizes[DELAYED], sizes[LEASED] = ready, suspects, delayed, leased
  return jobs == ready + others and known >= others and known <= jobs and jobs == sum_of(COUNTS)
    and ready == in_groups and leased == sum_of(FLIGHTS) and bytes >= jobs and (jobs > 0 or bytes == 0)
end

-- A job without its payload is let go: it must never be run, nor fail, for that. One without its record begins anew.
local function mend(now, lease_ms)
  redis.call('DEL', READY, SUSPECTS, DELAYED, LEASED, TENANTS, COUNTS, FLIGHTS)
  for _, place in ipairs({READY, SUSPECTS, DELAYED, LEASED}) do
    sizes[place] = 0
  end
  for _, hash in ipairs({TENANTS, COUNTS, FLIGHTS}) do
    counted[hash] = setmetatable({}, ALL)
  end
  if not meta('deaths') then
    redis.call('DEL', CRASHED)
  end
  set_meta('bytes', false)
  each_job(nil, function(job, r)
    if r then
      r.bytes = redis.call('HSTRLEN', PAYLOAD, job)
      unwritten_bytes = unwritten_bytes + r.bytes
      put_in(job, r, r.state, is_leased(r) and now + lease_ms or now)
    else
      let_go[#let_go + 1] = job
    end
  end)
  for _, job in ipairs(redis.call('HKEYS', JOBS)) do
    if redis.call('HEXISTS', PAYLOAD, job) == 0 then
      redis.call('HDEL', JOBS, job)
    end
  end
end
