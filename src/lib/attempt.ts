/**
 * What `look` sees in a value that somebody else made, or `otherwise`: its getters, and all of a proxy, may throw at any touch,
 * and `instanceof` and `in` are touches too.
 */
export function attempt<T, O>(look: () => T, otherwise: O): T | O {
  try {
    return look()
  } catch {
    return otherwise
  }
}
