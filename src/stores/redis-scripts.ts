import { createHash } from 'node:crypto'

/** A Lua script and the name under which Redis remembers it. */
export interface Script {
  readonly source: string
  readonly sha1: string
}

export function script(source: string): Script {
  return { source, sha1: createHash('sha1').update(source).digest('hex') }
}

/**
 * The window lives as long as the key, and its value is a plain integer: what rate-limiter-flexible writes too.
 * Answers: admitted (1 or 0), units left, milliseconds until more are there, milliseconds until a retry can succeed.
 */
const FIXED = `
local function fixed(key, limit, window, cost)
  local used = tonumber(redis.call('GET', key) or 0)
  local ends = redis.call('PTTL', key)
  if ends <= 0 then
    used = 0
    ends = window
    redis.call('SET', key, 0, 'PX', window)
  end
  if used + cost > limit then
    return {0, limit - used, ends, cost > limit and window or ends}
  end
  redis.call('INCRBY', key, string.format('%.0f', cost))
  return {1, limit - used - cost, ends, 0}
end
`

/** The clock of Redis, so that processes whose clocks differ count alike. */
const CLOCK = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`

/** Kept in step with the table of this process, kernel/algorithms.ts, where the arithmetic is explained. */
const SLIDING = `
local function sliding(key, limit, window, cost)
  local start, current, previous = now, 0, 0
  local state = redis.call('GET', key)
  if state then
    local s, c, p = string.match(state, '^(%d+) (%d+) (%d+)$')
    s = tonumber(s)
    if s and now < s + 2 * window then
      start, current, previous = math.min(s, now), tonumber(c), tonumber(p)
      if now - start >= window then
        start, current, previous = start + window, 0, current
      end
    end
  end

  local elapsed = now - start
  local free = (limit - current) * window - previous * (window - elapsed)
  local admitted = cost * window <= free
  if admitted then
    current = current + cost
    free = free - cost * window
  end
  redis.call('SET', key, string.format('%.0f %.0f %.0f', start, current, previous), 'PX', start + 2 * window - now)

  local function wait(units)
    local spare = limit - units - current
    if spare >= 0 then return math.max(window - math.floor(spare * window / previous) - elapsed, 1) end
    return math.max(2 * window - math.floor((limit - units) * window / current) - elapsed, 1)
  end
  local left = math.max(previous == 0 and limit - current or math.floor(free / window), 0)
  local refill, retry = 0, 0
  if left < limit then refill = wait(left + 1) end
  if cost > limit then retry = math.max(window, refill) elseif not admitted then retry = wait(cost) end
  return {admitted and 1 or 0, left, refill, retry}
end
`

const GCRA = `
local function gcra(key, limit, window, cost)
  local capacity, owed = limit * window, 0
  local state = redis.call('GET', key)
  if state then
    local whole, rest = string.match(state, '^(%d+) (%d+)$')
    whole = tonumber(whole)
    if whole and now < whole then owed = math.min((whole - now) * limit - tonumber(rest), capacity) end
  end

  local admitted = owed + cost * window <= capacity
  if admitted then owed = owed + cost * window end
  local ahead = math.ceil(owed / limit)
  if ahead > 0 then
    redis.call('SET', key, string.format('%.0f %.0f', now + ahead, ahead * limit - owed), 'PX', ahead)
  elseif state then
    redis.call('DEL', key)
  end

  local function wait(units) return math.max(math.ceil((owed - capacity + units * window) / limit), 1) end
  local left = math.floor((capacity - owed) / window)
  local refill, retry = 0, 0
  if left < limit then refill = wait(left + 1) end
  if cost > limit then retry = math.max(window, refill) elseif not admitted then retry = wait(cost) end
  return {admitted and 1 or 0, left, refill, retry}
end
`

/** One key for each hit, and four arguments: algorithm, limit, window, cost. The answers stand one after another. */
export const countAll = script(`${CLOCK}${FIXED}${SLIDING}${GCRA}
local algorithms = { fixed = fixed, sliding = sliding, gcra = gcra }
local answers = {}
for i, key in ipairs(KEYS) do
  local a = 4 * (i - 1)
  local answer = algorithms[ARGV[a + 1]](key, tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4]))
  for _, number in ipairs(answer) do answers[#answers + 1] = number end
end
return answers
`)

/**
 * What rate-limiter-flexible runs instead of its own increment, so that a refused hit takes nothing here either. Its
 * arguments are cost, whole seconds, limit, seconds; it wants the units consumed, above the limit to refuse, and the time
 * to live.
 */
export const consumeFixed = script(`${FIXED}
local limit, cost = tonumber(ARGV[3]), tonumber(ARGV[1])
local answer = fixed(KEYS[1], limit, math.floor(ARGV[4] * 1000 + 0.5), cost)
local consumed = limit - answer[2]
if answer[1] == 0 then consumed = consumed + cost end
return {consumed, answer[3]}
`)

export const getRecord = script(`return redis.call('GET', KEYS[1])`)

/** Answers `false` for each key that has none. */
export const getRecords = script(`return redis.call('MGET', unpack(KEYS))`)

export const deleteRecord = script(`return redis.call('DEL', KEYS[1])`)

const SET = `
local function set(value, ttl)
  if ttl == '' then redis.call('SET', KEYS[1], value) else redis.call('SET', KEYS[1], value, 'PX', ttl) end
  return 1
end
`

/** Arguments: value, time to live in milliseconds or nothing. */
export const putRecord = script(`${SET} return set(ARGV[1], ARGV[2])`)

/** Arguments: whether there must be a record, which one, value, time to live. Redis says `false` where there is none. */
export const replaceRecord = script(`${SET}
local expected = ARGV[1] == '1' and ARGV[2]
if redis.call('GET', KEYS[1]) ~= expected then return 0 end
return set(ARGV[3], ARGV[4])
`)

/** Argument: time to live. */
export const claimOnce = script(`
if redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) then return 1 end
return 0
`)

/** Arguments: cursor, pattern. Answers: the next cursor, then values. */
export const scanRecords = script(`
local found = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 1000)
local answer = {found[1]}
for _, key in ipairs(found[2]) do
  local value = redis.call('GET', key)
  if value then answer[#answer + 1] = value end
end
return answer
`)
