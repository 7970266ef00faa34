import type { CounterStore, Hit, HitResult, Policy } from './ports.js'

/** Counters in this process. */
export class MemoryCounters implements CounterStore {
  private readonly tables = new Map<Policy, { endsAt: number; counts: Map<string, number> }>()

  hit(hits: readonly Hit[], now: number): readonly HitResult[] {
    return hits.map(({ policy, key, cost }) => {
      let table = this.tables.get(policy)
      if (table === undefined || now >= table.endsAt) {
        table = { endsAt: (Math.floor(now / policy.windowMs) + 1) * policy.windowMs, counts: new Map() }
        this.tables.set(policy, table)
      }
      const count = (table.counts.get(key) ?? 0) + cost
      table.counts.set(key, count)
      const allowed = count <= policy.limit
      const resetMs = table.endsAt - now
      return { allowed, left: Math.max(policy.limit - count, 0), resetMs, retryMs: allowed ? 0 : resetMs }
    })
  }
}
