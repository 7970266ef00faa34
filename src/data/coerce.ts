import type { ValueTypes } from './checker.js'

const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/

const UNKNOWN: ValueTypes = { own: new Set(), items: new Set() }

/** Whether the schema wants a list wherever one value would do as well. */
export function isList({ own }: ValueTypes = UNKNOWN): boolean {
  return own.has('array') && !['string', 'number', 'integer', 'boolean'].some((type) => own.has(type))
}

/** Whether more than one value is allowed. */
export function mayRepeat({ own }: ValueTypes = UNKNOWN): boolean {
  return own.has('array')
}

/**
 * Text as the type that the schema wants: numbers in the grammar of JSON, `true` and `false`. Whatever else it is stays
 * text, so that the schema refuses it; also an integer that would lose digits.
 */
export function coerceText(text: string, types: ReadonlySet<string>): unknown {
  if (types.has('string') || types.size === 0) return text
  if (types.has('boolean') && (text === 'true' || text === 'false')) return text === 'true'
  if ((types.has('integer') || types.has('number')) && NUMBER.test(text)) {
    const value = Number(text)
    if (Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))) return value
  }
  return text
}

/** A text, or the texts of a list, as the value that the schema wants. */
export function coerce(sent: string | readonly string[], types: ValueTypes = UNKNOWN): unknown {
  return typeof sent === 'string'
    ? coerceText(sent, types.own)
    : sent.map((text) => coerceText(text, types.items))
}
