-- leasing: a part that is put before claim. It reads the arguments of the claim, and leases one job at a time.

local claim_id, n, worker, in_hand, lease_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[5]), tonumber(ARGV[6])
local now = now_ms()
local expiry = text_of(now + lease_ms)
local claimed = {} -- the jobs of this claim
local fence -- the last fence that was given out; claim.lua reads it from `meta`

-- Lease a job that waits. `member` is the job's member of `ready`, if the job has one.
local function lease(job, r, member)
  local burial = r.state == 'y'
  take_out(job, r, member)
  if not burial then
    r.attempts = r.attempts + 1
  end
  fence = fence + 1
  r.fence, r.claim = text_of(fence), claim_id
  put_in(job, r, burial and 'b' or 'l', expiry)
  claimed[#claimed + 1] = job
end

-- Read the jobs that members of `ready` stand for, all at once, and return them; false for a damaged member. The member
-- of a fresh job says all about the job, so the payload is not read.
local function load_ready(members)
  local jobs, found, fresh_ones = {}, {}, {}
  for i, member in ipairs(members) do
    local inverse, tenant, batch, place, cost, round, bytes, row =
      string.match(member, '^([^|]*)|([^|]*)|[^|]*|([^|]*)|(%d+)|(%d+)|(%d+)|(%d+)|(%d+)$')
    local job = row and batch .. '/' .. row
    jobs[i] = job or false
    if job then
      found[#found + 1] = job
      local r = fresh(job, round, tonumber(inverse) and 9 - inverse, tenant, cost, bytes, place)
      r.member, fresh_ones[job] = member, r.priority and r
    end
  end
  load_jobs(found, fresh_ones)
  return jobs
end

-- Lease the job that a member of `ready` stands for. Returns the job's cost, or nil if the job may not be leased.
local function lease_ready(group, member, job)
  local r = job and get_job(job)
  if not r or (r.state ~= 'r' and r.state ~= 'y') or (r.member or member_of(job, r)) ~= member then
    move_member(group, member, false) -- the member does not fit the job's record: the next claim mends the lane
    return nil
  end
  if not is_current(r) then
    remove(job, r, member)
    return nil
  end
  lease(job, r, member)
  return tonumber(r.cost)
end

