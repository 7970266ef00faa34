import { measureText, type JsonCost, type JsonFault, type JsonLimits } from './measure-text.js'
import { measureValue } from './measure-value.js'

/** What a text stands for, and what it spends of the limits. */
export interface ParsedJson {
  readonly value: unknown
  readonly cost: JsonCost
}

/**
 * JSON within limits that every reader understands alike. The limits are judged on the text, before anything is built
 * from it; names, strings and numbers on the value. A name that came twice is gone from the value: it has fewer members
 * than the text.
 */
export function parseJson(text: string, limits: JsonLimits): ParsedJson | JsonFault {
  const cost = measureText(text, limits)
  if (typeof cost === 'string') return cost
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'syntax'
  }
  // Text that was decoded has no half of a surrogate pair, unless it is written as an escape.
  const kept = measureValue(value, limits, text.includes('\\u'))
  if (typeof kept === 'string') return kept
  return kept.keys === cost.keys ? { value, cost } : 'duplicate-key'
}
