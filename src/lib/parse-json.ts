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
  const parsed = parse(text)
  return parsed === 'syntax' ? parsed : judged(text, parsed.value, cost, limits)
}

/** The same in steps, each of which takes at most about as long as `JSON.parse`. The last one does nothing. */
export function* parseJsonInSteps(
  text: string,
  limits: JsonLimits,
): Generator<undefined, ParsedJson | JsonFault> {
  const cost = measureText(text, limits)
  if (typeof cost === 'string') return cost
  yield
  const parsed = parse(text)
  if (parsed === 'syntax') return parsed
  yield
  const json = judged(text, parsed.value, cost, limits)
  yield
  return json
}

function parse(text: string): { readonly value: unknown } | 'syntax' {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch {
    return 'syntax'
  }
}

function judged(text: string, value: unknown, cost: JsonCost, limits: JsonLimits): ParsedJson | JsonFault {
  const kept = measureValue(value, limits, mayBeTorn(text))
  if (typeof kept === 'string') return kept
  return kept.keys === cost.keys ? { value, cost } : 'duplicate-key'
}

/** Text that was decoded has no half of a surrogate pair, unless it is written as an escape. */
function mayBeTorn(text: string): boolean {
  return text.includes('\\u') && (text.includes('\\ud') || text.includes('\\uD'))
}
