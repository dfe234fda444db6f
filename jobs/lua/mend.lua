-- mend: put before claim. A server that evicts loses whole keys: make all other keys again from `payload`
-- and `jobs`. Rows that are then missing are fed again, once storage is audited. A clock that was set back is followed.

local function sum(hash)
  local total = 0
  for _, value in ipairs(redis.call('HVALS', hash)) do
    total = total + tonumber(value)
  end
  return total
end

-- Whether all keys tell of the same jobs. Of those that only ever waited, `jobs` knows nothing.
local function is_whole()
  local jobs, ready, leased = redis.call('HLEN', PAYLOAD), redis.call('ZCARD', READY), redis.call('ZCARD', LEASED)
  local others = redis.call('ZCARD', SUSPECTS) + redis.call('ZCARD', DELAYED) + leased
  local known = redis.call('HLEN', JOBS)
  local bytes = number_in_meta('bytes')
  return jobs == ready + others and known >= others and known <= jobs and jobs == sum(COUNTS) and ready == sum(TENANTS)
    and leased == sum(FLIGHTS) and bytes >= jobs and (jobs > 0 or bytes == 0)
end

-- A job without its payload is let go: it must never be run, nor fail, for that. One without its record begins anew.
local function mend(now, lease_ms)
  redis.call('DEL', READY, SUSPECTS, DELAYED, LEASED, TENANTS, COUNTS, FLIGHTS)
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

-- The clock was set back, or another server's clock is behind: what is leased or delayed must not wait until it has caught up.
local function follow_clock(now)
  local back = number_in_meta('now') - now
  set_meta('now', now)
  if back > 1000 then
    for _, key in ipairs({LEASED, DELAYED}) do
      local found = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
      for i = 1, #found, 2 do
        redis.call('ZADD', key, tonumber(found[i + 1]) - back, found[i])
      end
    end
  end
end
