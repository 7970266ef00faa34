import { setImmediate } from './immediate.js'

const waiting: (() => unknown)[] = []

/**
 * Does some work soon, but after the event loop was let go: one piece in each of its turns, so that what arrives meanwhile
 * waits for one piece at most. Work that fails says nothing; whoever needs what it makes finds out.
 */
export function later(work: () => unknown): void {
  if (waiting.push(work) === 1) setImmediate(doOne)
}

function doOne(): void {
  try {
    waiting[0]!()
  } catch {
    // To be found out.
  }
  waiting.shift()
  if (waiting.length > 0) setImmediate(doOne)
}
