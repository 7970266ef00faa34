import { setImmediate } from './immediate.js'

const waiting: (() => boolean)[] = []

/** A turn brings any amount of work, and takes one step away: without a bound, it would fill the memory and never be done. */
const MOST_WAITING = 8

/**
 * Does a long piece of work step by step, each step in a turn of the event loop of its own, so that whatever else there is to
 * do waits for one step at most. One work after the other: no turn has steps of two, and what one has made half is not kept
 * while others are made. Where eight wait already, the first of them is done at once, so that whoever sends more must wait.
 *
 * @param steps ends a step where it yields; what comes of it is there in the turn of the last step
 */
export function stepByStep<T>(steps: Iterator<unknown, T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const isDone = () => {
      try {
        const { done, value } = steps.next()
        if (done === true) resolve(value)
        return done === true
      } catch (error) {
        reject(error)
        return true
      }
    }
    if (waiting.length === MOST_WAITING) finish(waiting.shift()!)
    if (waiting.push(isDone) === 1) setImmediate(doOne)
  })
}

function finish(isDone: () => boolean): void {
  while (!isDone());
}

function doOne(): void {
  if (waiting[0]!()) waiting.shift()
  if (waiting.length > 0) setImmediate(doOne)
}
