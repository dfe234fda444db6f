-- lane: the first of the parts that are put before every script. It declares the keys of a lane, and functions that read
-- and write many at once.
--
-- KEYS   1 batches  2 jobs  3 payload  4 ready  5 delayed  6 leased  7 waits  8 meta  9 workers  10 counts  11 suspects
--        12 crashed  13 flights  14 wake
--   batches  HASH  batch -> JSON {round, cursor, at_end, closed, version, kept, due}. `kept` is there while leased jobs of the
--                  round before may finish, and is the number of that round (rule 35 of jobs/PROTOCOL.md). `due` is there if
--                  the batch has a due time, in ms
--   jobs     HASH  job -> state|round|fence|attempts|crashes|priority|cost|bytes of the payload|place|tenant|claim id
--                  and, once it has crashed, |fence of the lost lease|its claim id|solo crashes|group|size|1 if the last crash
--                  was solo. `group` orders suspects, and `size` is how many of them were leased together; 0 for any other job
--                  States: r ready, s suspect, d delayed, l leased, y dying, b leased as a burial
--                  A job that has only ever waited is *fresh*: it has no record, since its payload and `ready` say all of it
--   payload  HASH  job -> round|priority|tenant|cost|place|, then bytes that no script reads
--   ready    ZSET  all scores are 0; in lexical order: <9-priority>|tenant|due|batch|place|cost|round|bytes of the payload|row
--                  A dying job has ! in place of <9-priority>, so it sorts before all others. `due` is when the batch is due,
--                  in 13 digits, or ~, so batches that are due sort before the others. `place` orders the jobs of a batch
--   delayed  ZSET  job -> when it is due             leased  ZSET  job -> when its lease runs out
--   waits    ZSET  group -> since when it waits to be served, less its priority times `aging`: the lowest number is first in
--                  priority once ageing is counted in. A *group* is <9-priority>|tenant: the ready jobs of one tenant in one
--                  priority. A *queue* is <9-priority>|tenant|due|batch: those of one batch
--   meta     HASH  paused, reason    1 while the lane is paused, and why it paused itself
--                  fence, version    the last fence of a lease, and the last version of a batch, that were given out
--                  bytes             of all payloads
--                  now               the time of the last claim or beat
--                  silence, grace    when the last silence of all workers began; until when leases that ran out
--                                    since are spared (rule 28)
--                  turn|<9-priority>, turn|<group>        the group of this priority, and the queue of this group without a
--                                    due time, that was served last
--                  deficit|<group>, deficit|<queue>       added to the quantum of its next turn: its debt in tokens, as a number
--                                    below 0; after a turn that a full claim interrupted, what is left of it, less a quantum
--                  quantum|<9-priority>                   the tokens of a turn
--                  owed|<group>      the tokens that its batches with a due time took, less 9 for each token of its others
--                  aged              1 if the last turn went to a group that gained levels by waiting
--                  aging             ms after which a group that was not served gains a level
--                  scanned           the cursor of HSCAN, which looks through `workers` for old records
--                  wrong             1 after a count went below 0; then the next claim mends the lane
--                  group             the number of the last group of suspects
--                  deaths, finished  deaths of workers in a row; rows finished since the lane was resumed (rule 34)
--                  apart             <worker>|<until when>: the busy worker that gets no jobs, so that it can take suspects
--                  turn              `ready` or `suspects`: which of them an idle worker gets next, if both wait
--                  news              <ms>|<batch>: which batch was accepted, reopened or resumed last, and when that was said
--   workers  HASH  worker -> until when it is shown|its record
--   counts   HASH  <batch>|<r, d or l> -> jobs in that state; y and s count as r, b as l. |<state> counts those of all batches
--   suspects ZSET  job -> group. Jobs that were lost together are a group, and run apart; the lowest group is first
--   crashed  SET   of the current streak of deaths: w|<incarnation> for each worker that died, j|<job> for each lost job
--   flights  HASH  tenant -> how many jobs it has leased. The field | counts the leased jobs of all tenants
--   wake     LIST  at most two tokens. A worker without jobs waits for one, and then claims at once. A token that is lost costs
--                  the time that the worker waits anyway
-- A job is written <batch>/<row>. Times are in milliseconds of this server's clock.

local BATCHES, JOBS, PAYLOAD, READY, DELAYED = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local LEASED, WAITS, META, WORKERS, COUNTS = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local SUSPECTS, CRASHED, FLIGHTS, WAKE = KEYS[11], KEYS[12], KEYS[13], KEYS[14]
local DYING = '!'
local NOT_DUE = '~'
local ALL = '|' -- the field of `flights` that counts the leased jobs of all tenants
local AGING_MS = 600000 -- `aging`, as long as `meta` does not say it
local MOST_SOLO = 2 -- solo crashes after which a job is dying
local AT_A_TIME = 1000 -- the most arguments of one command, since Lua's stack is bounded

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Return a whole number as text. Redis would format a number as a fraction, which takes longer.
local function text_of(number)
  return string.format('%d', number)
end

local function batch_of(job)
  return string.match(job, '^(.*)/%d+$')
end

-- Return the table of a JSON record; false if it is missing or damaged, which counts as the same (rule 25).
local function decoded(json)
  local fine, record = pcall(cjson.decode, json or '')
  return fine and type(record) == 'table' and record
end

-- Send a command for any number of members or fields, in several calls if needed. Returns the sum of the replies.
local function call_with(command, key, args)
  if #args <= AT_A_TIME then
    return args[1] and redis.call(command, key, unpack(args)) or 0
  end
  local sum = 0
  for first = 1, #args, AT_A_TIME do
    sum = sum + redis.call(command, key, unpack(args, first, math.min(first + AT_A_TIME - 1, #args)))
  end
  return sum
end

-- Return the values of any number of fields of a hash; false for a field that is missing.
local function read_fields(key, fields)
  if #fields <= AT_A_TIME then
    return fields[1] and redis.call('HMGET', key, unpack(fields)) or {}
  end
  local values = {}
  for first = 1, #fields, AT_A_TIME do
    for i, value in ipairs(redis.call('HMGET', key, unpack(fields, first, math.min(first + AT_A_TIME - 1, #fields)))) do
      values[first + i - 1] = value
    end
  end
  return values
end

-- Wake two workers that wait for jobs, if as many wait. A worker that finds more jobs than it takes wakes two more, so a few calls
-- wake all that are needed, and few that are not. If nobody waits, the tokens stay, and no more are added.
local function wake_workers()
  if not redis.call('LRANGE', WAKE, 0, 0)[1] then
    redis.call('RPUSH', WAKE, '1', '1')
  end
end

