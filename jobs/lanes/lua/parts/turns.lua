-- turns: a part that is put before claim, after leasing. It leases ready jobs in their order (rule 43 of jobs/PROTOCOL.md).
--
-- Burials come first, then the highest priority. The groups of one priority, which are its tenants, take turns, and so do the
-- queues of a group, which are its batches. Turns are counted in expected tokens, by surplus round robin: a turn gives a group
-- a quantum of tokens, and the group takes jobs as long as any token is left. The last job may cost more than is left. This
-- debt is taken off the group's next turn. (Deficit round robin, Shreedhar and Varghese 1995, looks at the next job's size
-- first. Here the largest quantum is not known without a look at all groups.) The quantum is the cost of the longest job of
-- this priority in recent claims, times the weight of the tenant. If a claim is full in the middle of a turn, the next claim
-- continues this turn.
--
-- In a group, batches with a due time come first, the earliest due first. If the group has other batches too, these may take a
-- tenth of its tokens. A group that is not served gains a level for each `aging_ms`, until it has been served once. At most
-- every second turn goes to a group that gained levels. A tenant at its cap of rows in flight is passed over, except for
-- burials.
--
-- The work of a claim depends on how many jobs it leases, and not on how many groups, queues or jobs wait.

local AT_ONCE = 8 -- the most jobs of a queue that one step of a turn looks at, if other queues wait too
local MOST_TURNS = 256 -- the most turns that one claim looks at; the next claim goes on
local OLDEST = 8 -- a look for aged groups looks at this many groups, those that wait longest
local DUE_SHARE = 9 -- for 9 tokens of batches with a due time, the other batches of the group may take one
local NO_END = 1e15 -- more tokens than any turn has
local QUANTUM_LEFT = 0.99 -- each claim multiplies the quantum by this, so that one very long job does not count for ever

local aging_ms, tenant_settings = tonumber(ARGV[10]), ARGV[11] ~= '{}' and cjson.decode(ARGV[11]) or {}
local turns_left = MOST_TURNS
local oldest -- the groups that wait longest and their numbers in `waits`, as this claim found them
local served = {} -- the groups that this claim served
local alone = {} -- priority or group -> whether this claim found one group, or one queue, in it
local dry = 0 -- 1 if a queue ran out, and more rows of its batch can be fed

local function tenant_of(group)
  return string.match(group, '^[^|]*|(.*)$')
end

local function group_in(member)
  return string.match(member, '^([^|]*|[^|]*)|')
end

local function queue_in(member)
  return string.match(member, '^([^|]*|[^|]*|[^|]*|[^|]*)|')
end

-- Return the first member that begins with `stem` and stands behind all members of the group or queue `last`. If there is none,
-- return the first that begins with `stem`; nil if no member does.
local function next_in_ring(stem, last)
  local found = last and redis.call('ZRANGEBYLEX', READY, '(' .. last .. '}', '(' .. stem .. '}', 'LIMIT', 0, 1)[1]
  return found or first_of(stem, 1)[1]
end

-- Return how many more rows of a group's tenant may be leased.
local function room_of(group)
  local tenant = tenant_of(group)
  local cap = tenant_settings[tenant] and tenant_settings[tenant].cap
  if not cap then
    return n
  end
  return cap - numbers_of(FLIGHTS, {[tenant] = true})[tenant] - (number_changes[FLIGHTS][tenant] or 0)
end

local function quantum_of(group)
  return math.max(number_in_meta('quantum|' .. string.sub(group, 1, 1)), 1)
end

-- Lease the jobs of these members in their order, until the sum of their costs reaches `budget`. Returns the tokens that were
-- leased, the highest cost of a job, and the number of members that were looked at.
local function lease_members(members, budget)
  local jobs = load_ready(members)
  local tokens, highest, seen = 0, 0, 0
  for i, member in ipairs(members) do
    if tokens >= budget then break end
    local cost = lease_ready(group_in(member), member, jobs[i]) or 0
    tokens, highest, seen = tokens + cost, math.max(highest, cost), i
  end
  return tokens, highest, seen
end

-- Lease at most `most` jobs of a queue, until their costs come to `budget`. A quantum is at least the highest cost, so that no
-- debt exceeds a quantum. Returns the tokens that were leased, and whether the queue is empty now.
local function lease_from(queue, budget, most)
  local group = group_in(queue .. '|')
  most = math.min(n - #claimed, most)
  local members = first_of(queue, most + 1) -- one more, which shows whether a job is left
  local found = #members
  members[most + 1] = nil
  local tokens, highest, seen = lease_members(members, budget)
  has_more[queue] = seen < found or nil
  has_more[group] = has_more[queue]
  if budget < NO_END and highest > quantum_of(queue) then
    set_meta('quantum|' .. string.sub(queue, 1, 1), text_of(highest))
  end
  write_members()
  has_more[group] = nil
  local is_empty = emptied[queue] == true
  if is_empty then
    local batch = get_batch(string.match(queue, '|([^|]*)$'))
    dry = (batch and not batch.at_end and not batch.closed) and 1 or dry
  end
  return tokens, is_empty
end

-- Serve the batches of a group that have no due time, for one step of a turn. Stops at `limit` tokens and at `most` jobs.
-- Returns the tokens that were leased.
local function serve_ring(group, limit, most)
  local stem, turn = group .. '|' .. NOT_DUE, 'turn|' .. group
  local queue = queue_in(next_in_ring(stem, meta(turn)))
  if alone[group] == nil then
    alone[group] = queue_in(next_in_ring(stem, queue)) == queue
  end
  local is_alone = alone[group]
  local field, quantum = 'deficit|' .. queue, quantum_of(group)
  local budget = is_alone and NO_END or number_in_meta(field) + quantum
  local tokens, is_empty = 0, false
  if budget > 0 then
    tokens, is_empty = lease_from(queue, math.min(budget, limit), is_alone and most or math.min(most, AT_ONCE))
  end
  local left = budget - tokens
  if is_empty or is_alone or left <= 0 then
    set_meta(turn, queue)
    set_meta(field, not is_empty and not is_alone and left < 0 and text_of(left))
  else
    set_meta(field, text_of(left - quantum))
  end
  return tokens
end

-- Serve a group for one step of a turn: the batch that is due first, or a batch without a due time. Returns the tokens that
-- were leased.
local function serve_step(group, limit, most)
  local queue, field = queue_in(first_of(group, 1)[1]), 'owed|' .. group
  if string.sub(queue, #group + 2, #group + 2) == NOT_DUE then
    return serve_ring(group, limit, most)
  end
  if not first_of(group .. '|' .. NOT_DUE, 1)[1] then
    set_meta(field, false)
    return (lease_from(queue, limit, most))
  end
  local owed = number_in_meta(field)
  if owed > 0 then
    local tokens = serve_ring(group, math.min(limit, math.ceil(owed / DUE_SHARE)), math.min(most, AT_ONCE))
    set_meta(field, text_of(owed - tokens * DUE_SHARE))
    return tokens
  end
  local tokens = lease_from(queue, math.min(limit, 1 - owed), math.min(most, AT_ONCE))
  set_meta(field, text_of(owed + tokens))
  return tokens
end

-- Serve a group for one turn. Returns `capped` if its tenant may have no more rows in flight, `debt` if a debt of earlier turns
-- is not paid yet, and otherwise `served`.
local function serve_turn(group)
  local inverse, settings = string.sub(group, 1, 1), tenant_settings[tenant_of(group)]
  local turn, field = 'turn|' .. inverse, 'deficit|' .. group
  turns_left = turns_left - 1
  if room_of(group) < 1 then
    set_meta(turn, group)
    return 'capped'
  end
  local quantum = quantum_of(group) * (settings and settings.weight or 1)
  if alone[inverse] == nil then
    alone[inverse] = group_in(next_in_ring(inverse, group)) == group
  end
  local is_alone = alone[inverse]
  local left = is_alone and NO_END or number_in_meta(field) + quantum
  if left <= 0 then
    set_meta(turn, group)
    set_meta(field, text_of(left))
    return 'debt'
  end
  local is_empty = false
  while left > 0 and not is_empty and #claimed < n and room_of(group) > 0 and turns_left > 0 do
    local tokens = serve_step(group, left, math.min(n - #claimed, room_of(group)))
    is_empty = emptied[group] == true
    left, turns_left = left - tokens, turns_left - 1
  end
  if is_empty or is_alone then
    set_meta(turn, group)
    set_meta(field, false)
  elseif left > 0 and #claimed == n then
    set_meta(field, text_of(left - quantum))
  else
    set_meta(turn, group)
    set_meta(field, left < 0 and text_of(left))
  end
  if not is_empty then
    redis.call('ZADD', WAITS, 'XX', wait_from(group, now), group)
  end
  served[group] = true
  return 'served'
end

-- Return a group of a lower priority that has waited long enough to count as a group of this priority. Nil if there is no such
-- group, or if the last turn went to one.
local function aged_group(inverse)
  local level = 9 - inverse
  if meta('aged') == '1' then
    set_meta('aged', false)
    return nil
  end
  oldest = oldest or redis.call('ZRANGE', WAITS, 0, OLDEST - 1, 'WITHSCORES')
  for i = 1, #oldest, 2 do
    local group = oldest[i]
    local reached = math.min(math.floor((now - oldest[i + 1]) / aging_ms), 9)
    if own_level_of(group) < level and reached >= level and not served[group] and room_of(group) > 0 then
      set_meta('aged', '1')
      return group
    end
  end
end

-- Serve the groups of one priority in turns, until the claim is full or none of them may be served.
local function serve_priority(inverse)
  local passed, in_debt = nil, false -- since a group was served: the first group passed over; whether a group had a debt
  while #claimed < n and turns_left > 0 do
    local aged = aged_group(inverse)
    local member = not aged and next_in_ring(inverse, meta('turn|' .. inverse))
    local group = aged or member and group_in(member)
    if not group or (group == passed and not in_debt) then
      return
    end
    if group == passed then
      passed, in_debt = nil, false
    end
    local outcome = serve_turn(group)
    if outcome == 'served' then
      passed, in_debt = nil, false
    elseif not aged then
      passed, in_debt = passed or group, in_debt or outcome == 'debt'
    end
  end
end

-- Lease jobs of a queue when no other queue has ready jobs. The jobs of a tenant at its cap are skipped and keep waiting.
local function serve_only_queue(queue)
  local group = group_in(queue .. '|')
  local room = room_of(group)
  if room < 1 then return end
  local _, is_empty = lease_from(queue, NO_END, room)
  if not is_empty then
    redis.call('ZADD', WAITS, 'XX', wait_from(group, now), group)
  end
end

local function serve_dying()
  lease_members(first_of(DYING, n), NO_END)
  write()
end

-- Lease ready jobs until the claim is full or no job may be leased.
local function serve_ready()
  local first, last = redis.call('ZRANGE', READY, 0, 0)[1], redis.call('ZRANGE', READY, -1, -1)[1]
  if first and string.sub(first, 1, 1) == DYING then
    serve_dying()
  elseif first and queue_in(first) and queue_in(first) == queue_in(last) then
    return serve_only_queue(queue_in(first))
  end
  local from = '[0'
  while #claimed < n and turns_left > 0 do
    local member = redis.call('ZRANGEBYLEX', READY, from, '+', 'LIMIT', 0, 1)[1]
    if not member then break end
    local field = 'quantum|' .. string.sub(member, 1, 1)
    set_meta(field, text_of(math.floor(number_in_meta(field) * QUANTUM_LEFT)))
    serve_priority(string.sub(member, 1, 1))
    from = '(' .. string.sub(member, 1, 1) .. '}'
  end
end
