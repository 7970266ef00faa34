import { until } from './private-redis.js'

/** Requests that go on, several at a time, while something happens. */
export interface Traffic {
  /** Resolves when each of the workers has got so many further answers. */
  readonly goesOn: (answers: number) => Promise<void>
  /** Ends it: how often each status was answered. */
  readonly stop: () => Promise<Readonly<Record<number, number>>>
}

/** @param send one request; resolves to its status */
export function traffic(send: (worker: number) => Promise<number>, workers = 6): Traffic {
  const statuses: Record<number, number> = {}
  const answered = Array.from({ length: workers }, () => 0)
  let failure: unknown
  let stopped = false
  const running = answered.map(async (_, worker) => {
    while (!stopped) {
      const status = await send(worker)
      statuses[status] = (statuses[status] ?? 0) + 1
      answered[worker]!++
    }
  })
  const all = Promise.all(running).catch((error: unknown) => {
    stopped = true
    failure = error
  })
  return {
    async goesOn(answers) {
      const enough = answered.map((count) => count + answers)
      await until(() => stopped || enough.every((count, worker) => answered[worker]! >= count))
    },
    async stop() {
      stopped = true
      await all
      if (failure !== undefined) throw failure as Error
      return statuses
    },
  }
}
