-- turns: a part that is put before claim, after leasing. It leases ready jobs: burials first, then by priority, tenant and
-- length.
--
-- Groups on the highest level take turns by deficit round robin (Shreedhar and Varghese 1995), in expected tokens. The
-- quantum of a turn is the highest cost among the first jobs of these groups, times the weight of the tenant, so each
-- turn serves at least one job. If a claim is full in the middle of a turn, the next claim continues the turn. A group
-- that is not served gains a level for each `aging_ms`, until it has been served once. A tenant at its cap of rows in
-- flight is passed over, except for burials.

local AT_ONCE = 8 -- the most jobs of a group that one step of its turn looks at

local aging_ms, tenant_settings = tonumber(ARGV[10]), ARGV[11] ~= '{}' and cjson.decode(ARGV[11]) or {}

-- Return the groups that have ready jobs. Reads, in one command, the fields of `meta` about these groups, and the fields in
-- `fields`.
local function ready_groups(fields)
  local groups = {}
  for group, ready in pairs(known_numbers[TENANTS]) do
    if ready ~= 0 then
      local last = #fields
      groups[#groups + 1] = group
      fields[last + 1], fields[last + 2] = 'served|' .. group, 'deficit|' .. group
      fields[last + 3] = 'turn|' .. own_level_of(group)
    end
  end
  load_meta(fields)
  return groups
end

-- Return the first members of a group in `ready`, at most `limit`.
local function first_of(group, limit)
  return limit > 0 and redis.call('ZRANGEBYLEX', READY, '[' .. group .. '|', '(' .. group .. '}', 'LIMIT', 0, limit) or {}
end

local function tenant_of(group)
  return string.match(group, '^[^|]*|(.*)$')
end

-- Return how many more rows of a group's tenant may be leased.
local function room_of(group)
  local tenant = tenant_of(group)
  local cap = tenant_settings[tenant] and tenant_settings[tenant].cap
  if not cap or string.sub(group, 1, 1) == DYING then
    return n
  end
  return cap - known_numbers[FLIGHTS][tenant] - (number_changes[FLIGHTS][tenant] or 0)
end

-- Return the level of a group now: its own, plus one for each `aging_ms` in which it was not served, up to 9.
local function level_of(group)
  local own, served = own_level_of(group), meta('served|' .. group)
  if own == 10 or not served then
    return own
  end
  return math.min(own + math.floor(math.max(now - served, 0) / aging_ms), 9)
end

-- Serve a group that need not take turns with other groups. Returns whether it had a job to look at.
local function serve_alone(group, level)
  local members = first_of(group, math.min(n - #claimed, room_of(group)))
  local jobs = load_ready(group, members)
  for i, member in ipairs(members) do
    lease_ready(group, member, jobs[i])
  end
  if #members > 0 then
    set_meta('deficit|' .. group, false)
    set_meta('turn|' .. level, group)
    set_meta('served|' .. group, text_of(now)) -- `write` removes it again if no job of the group is left
  end
  return #members > 0
end

-- Return the groups on the highest level that may be served, in the order of their turns; the quantum for a weight of
-- 1; and that level.
local function turns_of(groups)
  local highest, quantum, level = {}, 1, -1
  for _, group in ipairs(groups) do
    local first, own = first_of(group, 1)[1], level_of(group)
    if first and own >= level and room_of(group) > 0 then
      if own > level then
        highest, quantum, level = {}, 1, own
      end
      highest[#highest + 1] = group
      quantum = math.max(quantum, cost_of(group, first))
    end
  end
  table.sort(highest)
  local last = meta('turn|' .. level) or ''
  local in_turn, until_last = {}, {}
  for _, group in ipairs(highest) do
    table.insert(group > last and in_turn or until_last, group)
  end
  for _, group in ipairs(until_last) do
    in_turn[#in_turn + 1] = group
  end
  return in_turn, quantum, level
end

-- Serve a group for one turn. Returns whether the claim is full. If so, the next claim continues this turn without a new
-- quantum.
local function serve_turn(group, quantum)
  local field, settings = 'deficit|' .. group, tenant_settings[tenant_of(group)]
  quantum = quantum * (settings and settings.weight or 1)
  local deficit = math.min(number_in_meta(field), quantum) + quantum
  while #claimed < n do
    local members = first_of(group, math.min(n - #claimed, room_of(group), AT_ONCE))
    local jobs = load_ready(group, members)
    if #members == 0 then
      set_meta(field, false)
      return false
    end
    for i, member in ipairs(members) do
      if cost_of(group, member) > deficit then
        set_meta(field, deficit)
        return false
      end
      deficit = deficit - (lease_ready(group, member, jobs[i]) or 0)
    end
    write()
  end
  set_meta(field, deficit - quantum)
  return true
end

-- Serve the groups on the highest level in turns. Returns whether there was any such group.
local function serve_highest(groups)
  local in_turn, quantum, level = turns_of(groups)
  if #in_turn == 1 and level == own_level_of(in_turn[1]) then
    return serve_alone(in_turn[1], level)
  end
  for _, group in ipairs(in_turn) do
    local full = serve_turn(group, quantum)
    write()
    if known_numbers[TENANTS][group] ~= 0 then
      set_meta('served|' .. group, text_of(now))
    end
    if full then break end
    set_meta('turn|' .. level, group)
  end
  return #in_turn > 0
end

-- If `tenants` lost the group of the first ready job, count the group again. Returns whether it was lost.
local function count_lost_group()
  local first = redis.call('ZRANGE', READY, 0, 0)[1]
  local group = first and string.match(first, '^([^|]*|[^|]*)|')
  if not group or redis.call('HSETNX', TENANTS, group, 1) == 0 then
    return false
  end
  known_numbers[TENANTS][group] = 1
  return true
end

-- Lease ready jobs until the claim is full or no job may be leased.
local function serve_ready()
  while #claimed < n and known_sizes[READY] > 0 do
    local groups = ready_groups({})
    local served = #groups == 1 and serve_alone(groups[1], level_of(groups[1])) or #groups > 1 and serve_highest(groups)
    if next(moved_members) then
      write()
    end
    if not served and not count_lost_group() then break end
  end
end

