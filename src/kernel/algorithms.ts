import type { Algorithm, HitResult, Policy } from './ports.js'

/**
 * Takes `cost` units from the counter at `words[at]`, if the policy allows. The first word of every counter is the moment
 * from which it says nothing any more, so that a table needs to know no algorithm; a new counter is all zeros.
 * All arithmetic is on whole numbers, and exact while `limit * windowMs` is below 2^53; beyond, `left` and times are a little off,
 * and still whole numbers.
 */
export type Take = (words: Float64Array, at: number, policy: Policy, cost: number, now: number) => HitResult

export interface CountingAlgorithm {
  readonly take: Take
  /** Size of a counter, in 64-bit words. */
  readonly words: number
  /** The longest time a counter can have something to say, in windows. */
  readonly spans: number
}

/** `[end, used]` */
const fixed: Take = (words, at, { limit, windowMs }, cost, now) => {
  const end = words[at]!
  if (now >= end) {
    words[at] = now + windowMs
    words[at + 1] = 0
  } else if (end - now > windowMs) {
    words[at] = now + windowMs
  }

  const used = words[at + 1]!
  const refillMs = words[at]! - now
  if (used + cost > limit) {
    return { allowed: false, left: limit - used, refillMs, retryMs: cost > limit ? windowMs : refillMs }
  }
  words[at + 1] = used + cost
  return { allowed: true, left: limit - used - cost, refillMs, retryMs: 0 }
}

/** `[end of the next window, used in this one, used in the one before]` */
const sliding: Take = (words, at, { limit, windowMs }, cost, now) => {
  let start = now
  let current = 0
  let previous = 0
  if (now < words[at]!) {
    // `now` is earlier than the start only if the clock was set back.
    start = Math.min(words[at]! - 2 * windowMs, now)
    current = words[at + 1]!
    previous = words[at + 2]!
    if (now - start >= windowMs) {
      start += windowMs
      previous = current
      current = 0
    }
  }

  const elapsed = now - start
  let free = (limit - current) * windowMs - previous * (windowMs - elapsed)
  const allowed = cost * windowMs <= free
  if (allowed) {
    current += cost
    free -= cost * windowMs
  }
  words[at] = start + 2 * windowMs
  words[at + 1] = current
  words[at + 2] = previous

  // Without a window before, nothing is a fraction; beyond 2^53, it could seem that one unit is missing that is not.
  const left = Math.max(previous === 0 ? limit - current : Math.floor(free / windowMs), 0)
  /** How long until `units` are free, which are not now: within this window, or else within the next, where `current` fades. */
  const wait = (units: number) => {
    const spare = limit - units - current
    if (spare >= 0) return Math.max(windowMs - Math.floor((spare * windowMs) / previous) - elapsed, 1)
    return Math.max(2 * windowMs - Math.floor(((limit - units) * windowMs) / current) - elapsed, 1)
  }
  const refillMs = left >= limit ? 0 : wait(left + 1)
  if (allowed) return { allowed, left, refillMs, retryMs: 0 }
  return { allowed, left, refillMs, retryMs: cost > limit ? Math.max(windowMs, refillMs) : wait(cost) }
}

/**
 * `[whole millisecond, rest]`: the theoretical arrival time is the first minus `rest / limit`. Kept as a fraction because
 * `windowMs / limit`, added up in floating point, would refuse or admit one unit too many.
 */
const gcra: Take = (words, at, { limit, windowMs }, cost, now) => {
  const capacity = limit * windowMs
  // What is owed, in units of windowMs: `limit` of it is paid back each millisecond.
  let owed = now < words[at]! ? Math.min((words[at]! - now) * limit - words[at + 1]!, capacity) : 0

  const allowed = owed + cost * windowMs <= capacity
  if (allowed) owed += cost * windowMs
  const ahead = Math.ceil(owed / limit)
  words[at] = ahead > 0 ? now + ahead : 0
  words[at + 1] = ahead * limit - owed

  const left = Math.floor((capacity - owed) / windowMs)
  const wait = (units: number) => Math.max(Math.ceil((owed - capacity + units * windowMs) / limit), 1)
  const refillMs = left >= limit ? 0 : wait(left + 1)
  if (allowed) return { allowed, left, refillMs, retryMs: 0 }
  return { allowed, left, refillMs, retryMs: cost > limit ? Math.max(windowMs, refillMs) : wait(cost) }
}

export const algorithms: Readonly<Record<Algorithm, CountingAlgorithm>> = {
  fixed: { take: fixed, words: 2, spans: 1 },
  sliding: { take: sliding, words: 3, spans: 2 },
  gcra: { take: gcra, words: 2, spans: 1 },
}
