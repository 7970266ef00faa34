/** Makes something when it is first needed, shares it for as long as the caller keeps the event loop, and forgets it then. */
export function forThisTurn<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    if (made === undefined) {
      made = { value: make() }
      queueMicrotask(() => (made = undefined))
    }
    return made.value
  }
}
