-- records: a part that is put before every script, after lane. It reads the records of batches, the fields of `meta` and
-- the records of jobs, each once, and keeps them for the rest of the script. A changed batch is written at once; changes
-- of `meta` and of jobs are written by `write` of changes.lua.

local known_batches = {}

-- Return the record of a batch; false if there is none.
local function get_batch(batch)
  if known_batches[batch] == nil then
    local record = decoded(redis.call('HGET', BATCHES, batch))
    known_batches[batch] = record and type(record.round) == 'number' and type(record.version) == 'number' and record or false
  end
  return known_batches[batch]
end

local function put_batch(batch, record)
  known_batches[batch] = record
  redis.call('HSET', BATCHES, batch, cjson.encode(record))
end

local known_meta, unwritten_meta = {}, {}

-- Read these fields of the hash `meta` in one command, because the function `meta` will be asked for them.
local function load_meta(fields)
  local unknown = {}
  for _, field in ipairs(fields) do
    if known_meta[field] == nil then
      unknown[#unknown + 1] = field
    end
  end
  for i, value in ipairs(read_fields(META, unknown)) do
    known_meta[unknown[i]] = value
  end
end

local function meta(field)
  if known_meta[field] == nil then
    known_meta[field] = redis.call('HGET', META, field)
  end
  return known_meta[field]
end

-- Set a field of `meta`; false removes it.
local function set_meta(field, value)
  if value ~= meta(field) then
    known_meta[field], unwritten_meta[field] = value, value
  end
end

local function number_in_meta(field)
  return tonumber(meta(field) or '0')
end

-- Add to a number in `meta` and return the sum.
local function add_to_meta(field, by)
  local sum = number_in_meta(field) + by
  set_meta(field, text_of(sum))
  return sum
end

local HEAD = '^(%d+)|(%d)|([^|]*)|(%d+)|(%d+)|'
local RECORD = '^(%a)|(%d+)|(%d+)|(%d+)|(%d+)|(%d)|(%d+)|(%d+)|(%d+)|([^|]*)|([^|]*)(.*)$'
local CRASHES = '^|(%-?%d+)|([^|]*)|(%d+)|(%d+)|(%d+)|(%d)$'
local NEVER_CRASHED = {__index = {lost_fence = '-1', lost_claim = '', solo = 0, group = 0, size = 0, lost_solo = 0}}
local COUNTED_AS = {r = 'r', d = 'd', l = 'l', y = 'r', b = 'l', s = 'r'}

-- Make the record of a fresh job: one that has only ever waited. In all parts and scripts `r` is the record of a job.
local function fresh(job, round, priority, tenant, cost, bytes, place)
  return setmetatable({batch = batch_of(job), state = 'r', round = round, fence = '0', attempts = 0, crashes = 0, claim = '',
                       priority = priority, tenant = tenant, cost = cost, bytes = bytes, place = place, fresh = true}, NEVER_CRASHED)
end

-- Make the record of a fresh job from its payload; false if the payload is damaged.
local function fresh_from(job, payload)
  local round, priority, tenant, cost, place = string.match(payload, HEAD)
  return round and fresh(job, round, priority, tenant, cost, #payload, place) or false
end

-- Read the record of a job from its text; false if the text is damaged.
local function decode(job, text)
  local state, round, fence, attempts, crashes, priority, cost, bytes, place, tenant, claim, rest =
    string.match(text, RECORD)
  if not (state and COUNTED_AS[state]) then
    return false
  end
  local r = {batch = batch_of(job), state = state, round = round, fence = fence, attempts = tonumber(attempts),
             crashes = crashes == '0' and 0 or tonumber(crashes), claim = claim, priority = priority, tenant = tenant,
             cost = cost, bytes = bytes, place = place, text = text}
  if rest ~= '' then
    local lost_fence, lost_claim, solo, group, size, lost_solo = string.match(rest, CRASHES)
    if not lost_fence then return false end
    r.lost_fence, r.lost_claim, r.solo = lost_fence, lost_claim, tonumber(solo)
    r.group, r.size, r.lost_solo = tonumber(group), tonumber(size), tonumber(lost_solo)
  end
  return setmetatable(r, NEVER_CRASHED)
end

local function encode(r)
  local text = r.state .. '|' .. r.round .. '|' .. r.fence .. '|' .. r.attempts .. '|' .. r.crashes .. '|' .. r.priority .. '|'
    .. r.cost .. '|' .. r.bytes .. '|' .. r.place .. '|' .. r.tenant .. '|' .. r.claim
  if r.crashes > 0 then
    text = text .. string.format('|%s|%s|%d|%d|%d|%d', r.lost_fence, r.lost_claim, r.solo, r.group, r.size, r.lost_solo)
  end
  return text
end

local known_jobs, unwritten_jobs = {}, {}

-- Read all these jobs at once, because `get_job` will be asked for them. `fresh_ones` maps jobs that may be fresh to their
-- records.
local function load_jobs(jobs, fresh_ones)
  local unknown, without_record = {}, {}
  for _, job in ipairs(jobs) do
    if known_jobs[job] == nil then
      unknown[#unknown + 1] = job
    end
  end
  for i, text in ipairs(read_fields(JOBS, unknown)) do
    local job = unknown[i]
    local r = text and decode(job, text)
    if text and not r then
      redis.call('HDEL', JOBS, job) -- a damaged record counts as lost, and the next claim mends the lane
    end
    known_jobs[job] = r or fresh_ones and fresh_ones[job] or nil
    if not known_jobs[job] then
      without_record[#without_record + 1] = job
    end
  end
  for i, payload in ipairs(read_fields(PAYLOAD, without_record)) do
    known_jobs[without_record[i]] = payload and fresh_from(without_record[i], payload)
  end
end

-- Return the record of a job; false if there is none.
local function get_job(job)
  if known_jobs[job] == nil then
    load_jobs({job})
  end
  return known_jobs[job]
end

local function put_job(job, r)
  known_jobs[job] = r
  if not (r.fresh and r.state == 'r') then
    unwritten_jobs[job] = r
  end
end

