-- changes: a part that is put before every script, after records. It gathers the changes that a script makes, and `write`
-- sends them to Redis with few commands for each key. A script calls `write` at its end, and before it reads a set of jobs
-- that it may have changed.

-- If a key gets this many new members at once, Redis is made to keep the key as a table first. If the key stayed a list, Redis
-- would search the whole list for each member.
local TABLE_FROM = 16
local LONG = string.rep('.', 65) -- a member too long for a list: adding it makes Redis turn the key into a table

local moved_jobs = {} -- key of a set -> job -> its score, or false to remove it
local moved_members = {} -- group -> member of `ready` -> true to add it, false to remove it
local removed_payloads = {} -- the jobs whose payloads are removed
local number_changes = {[FLIGHTS] = {}, [COUNTS] = {}} -- hash -> field -> by how much its number changes
local known_numbers = {} -- hash -> field -> the number before these changes, if it was read
local known_sizes = {} -- key of a set -> how many members it has, if Redis was asked
local has_more = {} -- group or queue -> true if `ready` has a member of it that this script leaves there
local emptied = {} -- group or queue -> true if no member of it is left in `ready` after this script removed members
local bytes_change = 0

local function add(numbers, field, by)
  numbers[field] = (numbers[field] or 0) + by
end

-- Count a job that comes into a state (1) or leaves it (-1).
local function count_job(r, state, by)
  state = COUNTED_AS[state]
  add(number_changes[COUNTS], r.batch .. '|' .. state, by)
  add(number_changes[COUNTS], '|' .. state, by)
  if state == 'l' then
    add(number_changes[FLIGHTS], r.tenant, by)
    add(number_changes[FLIGHTS], ALL, by)
  end
end

-- Put a job into a set with this score, or remove the job from the set if `score` is false.
local function move(set, job, score)
  local jobs = moved_jobs[set] or {}
  moved_jobs[set] = jobs
  jobs[job] = score
end

local function move_member(group, member, is_added)
  local members = moved_members[group] or {}
  moved_members[group] = members
  members[member] = is_added
end

-- Write the changes of one set. If `score` is given, all new members get this score. Returns by how many members the set has
-- grown.
local function write_set(set, scores, score)
  local removed, added = {}, {}
  for member, own_score in pairs(scores) do
    if own_score then
      added[#added + 1] = score or own_score
      added[#added + 1] = member
    else
      removed[#removed + 1] = member
    end
  end
  if #added >= 2 * TABLE_FROM then
    added[#added + 1], added[#added + 2] = '0', LONG
    removed[#removed + 1] = LONG
  end
  local grown = call_with('ZADD', set, added) - call_with('ZREM', set, removed)
  known_sizes[set] = known_sizes[set] and known_sizes[set] + grown
  return grown
end

-- Return at most `limit` members of `ready`: the first that begin with `stem` and a |.
local function first_of(stem, limit)
  return limit > 0 and redis.call('ZRANGEBYLEX', READY, '[' .. stem .. '|', '(' .. stem .. '}', 'LIMIT', 0, limit) or {}
end

-- Return the level of a group, not counting the levels that it gained by waiting: its priority, or 10 for dying jobs.
local function own_level_of(group)
  local inverse = string.sub(group, 1, 1)
  return inverse == DYING and 10 or 9 - inverse
end

-- Return the number that a group has in `waits` once it was served at `now`.
local function wait_from(group, now)
  return text_of(now - own_level_of(group) * (tonumber(meta('aging')) or AGING_MS))
end

-- Update the notes on a group after `members` were added to it or removed from it. If the group has ready jobs, `waits` holds
-- it. If it has none, the group's notes are deleted; if a queue of it has none, that queue's note is deleted.
local function note_members(group, members)
  local is_new, queues = false, {}
  for member, is_added in pairs(members) do
    is_new = is_new or is_added
    if not is_added then
      queues[string.match(member, '^([^|]*|[^|]*|[^|]*|[^|]*)|') or ''] = true
    end
  end
  for queue in pairs(queues) do
    emptied[queue] = not has_more[queue] and not first_of(queue, 1)[1]
    if emptied[queue] then
      set_meta('deficit|' .. queue, false)
    end
  end
  emptied[group] = not is_new and not has_more[group] and not first_of(group, 1)[1]
  if is_new then
    redis.call('ZADD', WAITS, 'NX', wait_from(group, now_ms()), group)
  elseif emptied[group] then
    redis.call('ZREM', WAITS, group)
    for _, name in ipairs({'deficit|', 'owed|', 'turn|'}) do
      set_meta(name .. group, false)
    end
  end
end

local function write_members()
  local groups = moved_members
  moved_members = {}
  for group, members in pairs(groups) do
    write_set(READY, members, '0')
    note_members(group, members)
  end
end

local function write_sets()
  for set, scores in pairs(moved_jobs) do
    write_set(set, scores)
  end
  moved_jobs = {}
  write_members()
end

local function write_jobs()
  local removed, changed = {}, {}
  for job, r in pairs(unwritten_jobs) do
    if r then
      r.text = encode(r)
      changed[#changed + 1] = job
      changed[#changed + 1] = r.text
    else
      removed[#removed + 1] = job
    end
  end
  if #changed >= 2 * TABLE_FROM then
    changed[#changed + 1], changed[#changed + 2] = LONG, ''
    removed[#removed + 1] = LONG
  end
  call_with('HSET', JOBS, changed)
  call_with('HDEL', JOBS, removed)
  call_with('HDEL', PAYLOAD, removed_payloads)
  unwritten_jobs, removed_payloads = {}, {}
end

-- Return field -> number for a hash, with at least the fields in `asked`. Numbers that are not known yet are read in one
-- command.
local function numbers_of(hash, asked)
  local numbers, unknown = known_numbers[hash] or {}, {}
  known_numbers[hash] = numbers
  for field in pairs(asked) do
    if not numbers[field] then
      unknown[#unknown + 1] = field
    end
  end
  for i, value in ipairs(read_fields(hash, unknown)) do
    numbers[unknown[i]] = tonumber(value) or 0
  end
  return numbers
end

-- Write the changed numbers of a hash. A field that becomes 0 is removed. A number below 0 shows that something was counted
-- wrong: the next claim mends the lane.
local function write_numbers(hash, changes)
  local numbers, removed, changed = numbers_of(hash, changes), {}, {}
  for field, by in pairs(changes) do
    numbers[field] = numbers[field] + by
    if numbers[field] < 0 then
      set_meta('wrong', '1')
      numbers[field] = 0
    end
    if by ~= 0 and numbers[field] == 0 then
      removed[#removed + 1] = field
    elseif by ~= 0 then
      changed[#changed + 1] = field
      changed[#changed + 1] = text_of(numbers[field])
    end
  end
  call_with('HDEL', hash, removed)
  call_with('HSET', hash, changed)
end

local function write_counts()
  for hash, fields in pairs(number_changes) do
    if next(fields) then
      number_changes[hash] = {}
      write_numbers(hash, fields)
    end
  end
  if bytes_change ~= 0 then
    add_to_meta('bytes', bytes_change)
    bytes_change = 0
  end
end

local function write_meta()
  local removed, changed = {}, {}
  for field, value in pairs(unwritten_meta) do
    if value then
      changed[#changed + 1] = field
      changed[#changed + 1] = value
    else
      removed[#removed + 1] = field
    end
  end
  call_with('HDEL', META, removed)
  call_with('HSET', META, changed)
  unwritten_meta = {}
end

local function write()
  write_sets()
  if next(unwritten_jobs) or removed_payloads[1] then
    write_jobs()
  end
  write_counts()
  if next(unwritten_meta) then
    write_meta()
  end
end

