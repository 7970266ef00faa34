import type { JsonCost, JsonFault, JsonLimits } from './json-budget.js'

/** One value whose content is still to be looked at. */
interface Pending {
  readonly value: object
  readonly depth: number
  readonly ofConstructor: boolean
}

/**
 * Measures a value that another parser built, without recursion. Names that came twice are gone by then, and so are
 * the bytes: both cannot be judged any more.
 */
export function measureValue(root: unknown, limits: JsonLimits): JsonCost | JsonFault {
  const pending: Pending[] = []
  let deepest = 0
  let keys = 0
  let items = 0

  const visit = (value: unknown, depth: number, ofConstructor: boolean) => {
    if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value))
      pending.push({ value, depth, ofConstructor })
  }

  visit(root, 1, false)
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { value, depth, ofConstructor } = next
    if (depth > limits.maxDepth) return 'too-deep'
    deepest = Math.max(deepest, depth)

    if (Array.isArray(value)) {
      if ((items += value.length) > limits.maxArrayItems) return 'too-many-items'
      for (const item of value) visit(item, depth + 1, false)
      continue
    }
    for (const [key, member] of Object.entries(value)) {
      if (++keys > limits.maxKeys) return 'too-many-keys'
      if (key === '__proto__') return 'proto-key'
      if (key === 'prototype' && ofConstructor) return 'constructor-prototype'
      visit(member, depth + 1, key === 'constructor')
    }
  }
  return { depth: deepest, keys, items }
}
