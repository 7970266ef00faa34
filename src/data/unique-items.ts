/**
 * Whether no two items are equal as JSON Schema means it. One key per item instead of comparing each with each: ten
 * thousand objects would otherwise block the process for seconds.
 */
export function allDifferent(items: readonly unknown[]): boolean {
  const seen = new Set<string>()
  for (const item of items) seen.add(canonical(item))
  return seen.size === items.length
}

/**
 * Equal values have equal texts, and no others have: members stand in one order, and strings have their length in front
 * in place of escapes. Its depth is bounded by `body.maxDepth`.
 */
function canonical(value: unknown): string {
  if (typeof value === 'string') return `"${value.length}:${value}`
  if (typeof value !== 'object' || value === null) return String(value)
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`

  const names = Object.keys(value)
  if (names.length > 1) names.sort()
  let text = '{'
  for (const name of names)
    text += `${name.length}:${name}${canonical((value as Record<string, unknown>)[name])},`
  return `${text}}`
}
