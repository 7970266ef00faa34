import type { SecurityContext } from '../kernel/context.js'
import type { Policy } from '../kernel/ports.js'
import type { Problem } from '../kernel/problem.js'
import { isStoreUnavailable } from '../kernel/store-unavailable.js'
import { Generations } from '../lib/generations.js'
import { isThenable } from '../lib/when.js'
import type { KeyLimit } from './api-key-record.js'
import { keyExhausted } from './api-key-refusals.js'
import { storeAway } from './store-away.js'

/** Limits of different size that are told apart at once, which is more than anybody sells. */
const MAX_POLICIES = 1_000

/** Counts the requests of each key that has a limit of its own, wherever they come from. */
export class KeyLimits {
  /** Counters go by the identity of a policy, so keys with the same limit share one. */
  private readonly policies = new Generations<string, Policy>(MAX_POLICIES)

  take(ctx: SecurityContext, id: string, limit: KeyLimit): void | Problem | Promise<void | Problem> {
    const { counters, clock } = ctx.services
    const results = counters.hit([{ policy: this.policyOf(limit), key: id, cost: 1 }], clock.monotonic())
    if (!isThenable(results)) return judge(results[0]!)
    return results.then(
      ([result]) => judge(result!),
      (error: unknown) => {
        if (!isStoreUnavailable(error)) throw error
        return storeAway(error.retryMs, 'The counters cannot be reached, and the key has a limit')
      },
    )
  }

  private policyOf({ limit, windowMs }: KeyLimit): Policy {
    const name = `${limit} in ${windowMs}`
    let policy = this.policies.get(name)
    if (policy === undefined) {
      policy = { scope: 'apiKey', name, limit, windowMs, algorithm: 'fixed' }
      this.policies.set(name, policy)
    }
    return policy
  }
}

function judge({
  allowed,
  retryMs,
}: {
  readonly allowed: boolean
  readonly retryMs: number
}): void | Problem {
  return allowed ? undefined : keyExhausted(retryMs)
}
