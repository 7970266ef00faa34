import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

/** The value below which `share` of the sorted `values` lie. */
export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(Math.floor(share * sorted.length), sorted.length - 1)]
}

export const median = (values) => percentile(values, 0.5)

export const ms = (value) => `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`

/** Asks again and again until it is so; `false` if it is not after `limitMs`. */
export async function until(isSo, limitMs = 10_000) {
  const end = performance.now() + limitMs
  while (performance.now() < end) {
    if (await isSo()) return true
    await pause(5)
  }
  return false
}

/**
 * Runs `attempt` until its `ok` holds, at most `times` times: on a machine that others use too, one measurement can be
 * spoilt by them. Only for what is a matter of time; says how many it took.
 */
export async function upTo(times, attempt) {
  for (let n = 1; ; n++) {
    const result = await attempt()
    if (result.ok || n === times)
      return n === 1 ? result : { ...result, measured: `${result.measured} (attempt ${n})` }
  }
}

const SCHEDULER = `/proc/self/task/${process.pid}/schedstat`

/**
 * Milliseconds that this thread has worked. Unlike the time on the wall, it does not count how long others had its core;
 * where the system does not tell (only Linux does), it is the time on the wall all the same.
 */
export const workedMs = existsSync(SCHEDULER)
  ? () => Number(readFileSync(SCHEDULER, 'latin1').split(' ')[0]) / 1e6
  : () => performance.now()

/**
 * The longest turn of the event loop while `work`, which must leave it from time to time, goes on; in milliseconds that
 * this thread worked.
 */
export async function longestTurn(work) {
  let longest = 0
  let last = workedMs()
  let running = true
  const turn = () => {
    const now = workedMs()
    longest = Math.max(longest, now - last)
    last = now
    if (running) setImmediate(turn)
  }
  setImmediate(turn)
  await work()
  running = false
  return longest
}
