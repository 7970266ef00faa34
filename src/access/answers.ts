import type { SecurityContext } from '../kernel/context.js'
import { refuse, type Problem, type ProblemCode } from '../kernel/problem.js'
import { storeAway } from '../kernel/store-away.js'
import { isStoreUnavailable } from '../kernel/store-unavailable.js'
import { inTime } from '../lib/in-time.js'
import { retryAfter } from '../lib/retry-after.js'

const RETRY_MS = 1_000

/** What becomes of a request that waits too long for a function of the application's. */
export interface Deadline {
  readonly timeoutMs: number
  readonly code: ProblemCode
  /** On record. */
  readonly rule: string
}

/**
 * What a function of the application's says later, within its time. Too late: 503.
 *
 * @param expired hears that nobody waits any more
 */
export function inItsTime<T>(
  { services }: SecurityContext,
  { timeoutMs, code, rule }: Deadline,
  answer: Promise<T>,
  expired?: () => void,
): Promise<T | Problem> {
  return inTime(services.clock, timeoutMs, answer, () => {
    expired?.()
    return LATE
  }).catch((error: unknown) => {
    if (error !== LATE) return brokenUnlessAway(error)
    const reason = `there was no answer within ${timeoutMs} ms`
    return refuse(code, { rule, reason, headers: { 'Retry-After': retryAfter(RETRY_MS) } })
  })
}

/** One for all: it goes no further than to here. */
const LATE = new Error('too late')

/** 503 for a store that is away. @throws whatever else it is: then the function is broken */
export function brokenUnlessAway(error: unknown): Problem {
  if (!isStoreUnavailable(error)) throw error
  return storeAway(error.retryMs, 'what access is decided by cannot be reached', error)
}
