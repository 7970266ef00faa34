import { later } from './later.js'

/** Makes something when it is first needed, shares it until all the work that waits by then is done, and forgets it. */
export function forNow<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    if (made === undefined) {
      made = { value: make() }
      later(() => (made = undefined))
    }
    return made.value
  }
}
