/**
 * Asks for `.then`, not for `instanceof Promise`: inside Jest, a promise that comes from Node itself is no instance
 * of the `Promise` that our code sees.
 */
export function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof (value as { then?: unknown } | undefined | null)?.then === 'function'
}

/**
 * Whether a function that must answer at once returned a promise. Nobody will ask what became of it, and a rejection that
 * nobody asks for would end the process.
 */
export function isStrayPromise(value: unknown): boolean {
  if (!isThenable(value)) return false
  value.then(undefined, () => undefined)
  return true
}

/** `then` that stays in the same tick if the value is already there, so that stores in memory cost no promise. */
export function when<T, R>(value: T | PromiseLike<T>, use: (value: T) => R | Promise<R>): R | Promise<R> {
  return isThenable(value) ? (value.then(use) as Promise<R>) : use(value)
}
