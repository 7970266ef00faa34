import type { Clock } from '../kernel/ports.js'

/** A clock that only moves when it is told to. Timers that come due fire inside `advance`, in order. */
export interface FakeClock extends Clock {
  /** Moves both clocks forward by `ms` milliseconds. */
  advance(ms: number): void
  /** Moves the wall clock alone, as an operator or a time server would. May go back. */
  jump(ms: number): void
}

/** @param start wall clock at the beginning, in milliseconds since 1970. Default 2030-01-01T00:00:00Z. */
export function fakeClock(start = Date.UTC(2030, 0, 1)): FakeClock {
  let wall = start
  let steady = 0
  const timers = new Set<{ at: number; callback: () => void }>()

  return {
    now: () => wall,
    monotonic: () => steady,
    after(ms, callback) {
      const timer = { at: steady + ms, callback }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    advance(ms) {
      const end = steady + ms
      for (;;) {
        const due = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
        if (due === undefined) break
        timers.delete(due)
        wall += due.at - steady
        steady = due.at
        due.callback()
      }
      wall += end - steady
      steady = end
    },
    jump(ms) {
      wall += ms
    },
  }
}
