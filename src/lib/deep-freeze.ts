/** Freezes a tree of plain data, so that whoever shares it cannot change it for the others. Returns it. */
export function deepFreeze<T>(value: T): Readonly<T> {
  const left: unknown[] = [value]
  while (left.length > 0) {
    const next = left.pop()
    if (typeof next !== 'object' || next === null || Object.isFrozen(next)) continue
    Object.freeze(next)
    for (const inner of Object.values(next)) if (typeof inner === 'object') left.push(inner)
  }
  return value
}
