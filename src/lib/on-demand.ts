/**
 * Loads something when it is first asked for: a promise until it is there, and from then on the thing itself. What could
 * not be loaded is tried again.
 */
export function onDemand<T extends object>(load: () => Promise<T>): () => T | Promise<T> {
  let loaded: T | undefined
  let loading: Promise<T> | undefined
  return () =>
    loaded ??
    (loading ??= load()
      .then((value) => (loaded = value))
      .finally(() => (loading = undefined)))
}
