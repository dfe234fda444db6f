-- mend: put before claim. A server that evicts loses whole keys: make all other keys again from `jobs`. Rows that are then
-- missing are fed again, once storage is audited.

local function sum(hash)
  local total = 0
  for _, value in ipairs(redis.call('HVALS', hash)) do
    total = total + tonumber(value)
  end
  return total
end

-- Whether all keys tell of the same jobs. A payload has at least one byte.
local function is_whole()
  local jobs, ready, leased = redis.call('HLEN', JOBS), redis.call('ZCARD', READY), redis.call('ZCARD', LEASED)
  local bytes = tonumber(redis.call('HGET', META, 'bytes') or '0')
  return jobs == ready + redis.call('ZCARD', SUSPECTS) + redis.call('ZCARD', DELAYED) + leased and jobs == sum(COUNTS)
    and ready == sum(TENANTS) and leased == sum(FLIGHTS) and jobs == redis.call('HLEN', PAYLOAD)
    and bytes >= jobs and (jobs > 0 or bytes == 0)
end

-- A job without its payload is let go: it must never be run, nor fail, for that.
local function mend(now, lease_ms)
  redis.call('DEL', READY, SUSPECTS, DELAYED, LEASED, TENANTS, COUNTS, FLIGHTS)
  redis.call('HDEL', META, 'bytes')
  for _, job in ipairs(redis.call('HKEYS', JOBS)) do
    local r, size = get_job(job), redis.call('HSTRLEN', PAYLOAD, job)
    if size == 0 then
      redis.call('HDEL', JOBS, job)
    else
      redis.call('HINCRBY', META, 'bytes', size)
      put_in(job, r, r.state, is_leased(r) and now + lease_ms or now)
    end
  end
  for _, job in ipairs(redis.call('HKEYS', PAYLOAD)) do
    if redis.call('HEXISTS', JOBS, job) == 0 then
      redis.call('HDEL', PAYLOAD, job)
    end
  end
end
