/** Both lists in one, which is the other one where the first has nothing: most often there is nothing to be joined. */
export function joined<T>(some: readonly T[], more: readonly T[]): readonly T[] {
  return some.length === 0 ? more : [...some, ...more]
}
