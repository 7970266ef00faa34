import type { SecurityContext } from '../kernel/context.js'
import { MemoryCounters } from '../kernel/memory.js'
import { MemoryRecords } from '../kernel/memory-records.js'
import type { CounterStore, Later, Policy, Store } from '../kernel/ports.js'
import type { Problem } from '../kernel/problem.js'
import type { Finding } from '../kernel/stage.js'
import { Generations } from '../lib/generations.js'
import type { KeySpace } from './api-key-options.js'
import type { KeyLimit } from './api-key-record.js'
import { keyExhausted } from './api-key-refusals.js'
import { whenStored } from '../kernel/store-away.js'

/** Limits of different size that are told apart at once, which is more than anybody sells. */
const MAX_POLICIES = 1_000

/** Counters in memory go by the identity of a policy, so limits of one size share one, whichever stage counts. */
const policies = new Generations<string, Policy>(MAX_POLICIES)

/** Counts the requests of each key that has a limit of its own, wherever they come from. */
export class KeyLimits {
  constructor(private readonly store: KeySpace['store']) {}

  take(ctx: SecurityContext, id: string, limit: KeyLimit): Later<void | Problem> {
    const { clock } = ctx.services
    const hit = { policy: policyOf(limit), key: id, cost: 1 }
    return whenStored(
      this.countersOf(ctx).hit([hit], clock.monotonic()),
      'The counters cannot be reached, and the key has a limit',
      ([result]) => (result!.allowed ? undefined : keyExhausted(result!.retryMs)),
    )
  }

  /** Where the keys live, if that counts: whoever shares the keys shares their limits. */
  private countersOf({ services }: SecurityContext): CounterStore {
    return this.store.counters === undefined ? services.counters : services.portsOf(this.store).counters
  }

  /** Keys that several processes know, and limits that each of them counts for itself. */
  findings(shared: Store | undefined): Finding[] {
    const { records, counters = shared?.counters } = this.store
    if (MemoryRecords.isItself(records)) return []
    return counters === undefined || counters instanceof MemoryCounters ? [PER_PROCESS] : []
  }
}

const PER_PROCESS: Finding = {
  code: 'key-limit-per-process',
  severity: 'medium',
  cause:
    'apiKey.store does not count, and no shared store of the API does: each process counts the limit of a key for itself',
  fix: 'give apiKey a store that counts, redis(client) or postgres(pool, { counters: true }), or the API one: secureApi({ store })',
}

function policyOf({ limit, windowMs }: KeyLimit): Policy {
  const name = `${limit} in ${windowMs}`
  let policy = policies.get(name)
  if (policy === undefined) {
    policy = { scope: 'apiKey', name, limit, windowMs, algorithm: 'fixed' }
    policies.set(name, policy)
  }
  return policy
}

/** Whether what was counted by one holds for the other. */
export function sameLimit(one: KeyLimit | undefined, other: KeyLimit | undefined): boolean {
  return one?.limit === other?.limit && one?.windowMs === other?.windowMs
}
