-- presence: a part that is put before claim and beat. It notes that a worker is there, and gives all workers a grace
-- after a silence (rule 28 of jobs/PROTOCOL.md).

local MOST_GRACE_MS = 15000 -- the longest grace: a living worker beats three times in it
local DAY_MS = 86400000

-- Move all expiries and due times back by `by_ms`: the clock was set back by this time, or is this far behind the clock of an
-- earlier server. Otherwise leased and delayed jobs would wait until the clock has caught up.
local function move_times_back(by_ms)
  for _, set in ipairs({LEASED, DELAYED}) do
    local found = redis.call('ZRANGE', set, 0, -1, 'WITHSCORES')
    for i = 1, #found, 2 do
      redis.call('ZADD', set, tonumber(found[i + 1]) - by_ms, found[i])
    end
  end
  for _, field in ipairs({'silence', 'grace'}) do
    if meta(field) then
      set_meta(field, text_of(meta(field) - by_ms))
    end
  end
end

-- Note that a claim or a beat came. If none came for longer than a lease, Redis was away or its clock jumped. Then a grace
-- begins: until its end, only leases that ran out before the silence are rescued. A lane without a note of the last time
-- needs no grace: it has no leases, or the claim that mends the lane gives each lease a new term.
local function note_presence(now, lease_ms)
  local last = tonumber(meta('now')) or now
  set_meta('now', text_of(now))
  if last - now > 1000 then
    move_times_back(last - now)
  elseif now - last > lease_ms then
    set_meta('silence', text_of(last))
    set_meta('grace', text_of(now + math.min(lease_ms, MOST_GRACE_MS)))
  end
end

-- Show a worker in snapshots for `shown_ms`. Stored are the end of this time, the time of this call, and the record. A call for a
-- new worker also removes, among the records of some workers, those that ended a day ago.
local function show_worker(now, worker, record, shown_ms)
  if redis.call('HSET', WORKERS, worker, text_of(now + shown_ms) .. '|' .. text_of(now) .. '|' .. record) == 0 then return end
  local cursor, workers = unpack(redis.call('HSCAN', WORKERS, meta('scanned') or '0', 'COUNT', 64))
  local removed = {}
  set_meta('scanned', cursor ~= '0' and cursor)
  for i = 1, #workers, 2 do
    if (tonumber(string.match(workers[i + 1], '^(%d+)|')) or 0) < now - DAY_MS then
      removed[#removed + 1] = workers[i]
    end
  end
  call_with('HDEL', WORKERS, removed)
end

