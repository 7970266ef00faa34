import type { JsonCost, JsonFault, JsonLimits } from './measure-text.js'

/**
 * Measures a value and judges its names, strings and numbers, level by level and so without recursion. Of a value that
 * another parser built, the bytes and the names that came twice are gone by then and cannot be judged any more.
 *
 * @param mayBeTorn whether names and strings may have half of a surrogate pair in them
 */
export function measureValue(
  root: unknown,
  { maxDepth, maxKeys, maxArrayItems }: JsonLimits,
  mayBeTorn = true,
): JsonCost | JsonFault {
  let depth = 0
  let keys = 0
  let items = 0
  let below: object[] = []

  const judge = (value: unknown): JsonFault | undefined => {
    switch (typeof value) {
      case 'object':
        if (value !== null && !ArrayBuffer.isView(value)) below.push(value)
        return undefined
      case 'string':
        // RFC 8259 section 8.2: what receivers make of half a surrogate pair is unpredictable.
        return mayBeTorn && !value.isWellFormed() ? 'lone-surrogate' : undefined
      case 'number':
        return value === Infinity || value === -Infinity ? 'number-out-of-range' : undefined
    }
    return undefined
  }

  const fault = judge(root)
  if (fault !== undefined) return fault
  while (below.length > 0) {
    if (++depth > maxDepth) return 'too-deep'
    const level = below
    below = []
    for (const value of level) {
      if (Array.isArray(value)) {
        if ((items += value.length) > maxArrayItems) return 'too-many-items'
        for (const item of value) {
          const fault = judge(item)
          if (fault !== undefined) return fault
        }
        continue
      }
      const names = Object.keys(value)
      if ((keys += names.length) > maxKeys) return 'too-many-keys'
      for (const name of names) {
        const member = (value as Record<string, unknown>)[name]
        const fault = judgeName(name, member, mayBeTorn) ?? judge(member)
        if (fault !== undefined) return fault
      }
    }
  }
  return { depth, keys, items }
}

function judgeName(name: string, member: unknown, mayBeTorn: boolean): JsonFault | undefined {
  if (name === '__proto__') return 'proto-key'
  if (
    name === 'constructor' &&
    typeof member === 'object' &&
    member !== null &&
    Object.hasOwn(member, 'prototype')
  )
    return 'constructor-prototype'
  return mayBeTorn && !name.isWellFormed() ? 'lone-surrogate' : undefined
}
