import { refuse, type Problem } from './problem.js'
import type { Later } from './ports.js'
import { isStoreUnavailable } from './store-unavailable.js'
import { retryAfter } from '../lib/retry-after.js'
import { isThenable } from '../lib/when.js'

/** 503: nobody can decide. Never 401 or 403, because the caller may be a good one. */
export function storeAway(retryMs: number, reason: string, cause?: unknown): Problem {
  return refuse('store-unavailable', {
    rule: 'store-unavailable',
    reason,
    headers: { 'Retry-After': retryAfter(retryMs) },
    ...(cause !== undefined && { cause }),
  })
}

/** Uses what a store answers, at once if it is there; a store that is away is 503, for this reason. */
export function whenStored<T, R>(
  answer: Later<T>,
  reason: string,
  use: (answer: T) => Later<R>,
): Later<R | Problem> {
  if (!isThenable(answer)) return use(answer)
  return answer.then(use, (error: unknown) => {
    if (!isStoreUnavailable(error)) throw error
    return storeAway(error.retryMs, reason)
  })
}
