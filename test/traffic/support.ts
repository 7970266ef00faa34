import { defineStage } from '../../src/kernel/define.js'
import type { CounterStore, Hit } from '../../src/kernel/ports.js'
import type { Principal } from '../../src/kernel/context.js'

/** A stage that keeps what later stages put on record. */
export function recorder() {
  const events: Record<string, unknown>[] = []
  const stage = defineStage('recorder', () => ({
    enter(ctx) {
      ctx.recorder = { record: (_ctx, kind, facts) => void events.push({ kind, ...facts }) }
    },
  }))()
  return { stage, events, ofKind: (kind: string) => events.filter((event) => event['kind'] === kind) }
}

/** A stage that says who is calling, by a header of the test's. */
export const identified = defineStage('identified', () => ({
  enter(ctx) {
    const id = ctx.req.headers['x-test-principal']
    if (id !== undefined)
      ctx.principal = { id: String(id), subject: 's', method: 'test', claims: {} } satisfies Principal
  },
}))()

/** Counters that remember what they were asked, and can fail. */
export function spiedCounters(inner: CounterStore) {
  const calls: (readonly Hit[])[] = []
  let down: 'no' | 'rejects' | 'hangs' = 'no'
  const counters: CounterStore = {
    async hit(hits, now) {
      calls.push(hits)
      if (down === 'rejects') throw new Error('connect ECONNREFUSED redis.internal:6379')
      if (down === 'hangs') await new Promise(() => undefined)
      return inner.hit(hits, now)
    },
  }
  return { counters, calls, becomes: (next: typeof down) => void (down = next) }
}
