import { BareRecord } from './bare.js'

/** Names with all their values, in the order in which they were sent. Without a prototype. */
export type Fields = Record<string, string[]>

/** The stable name of the rule that a query string or cookie breaks. */
export type FieldFault = 'percent-encoding' | 'proto-key' | 'too-many'

/** More pairs than any form has. Each costs microseconds in all that comes after. */
export const MOST_FIELDS = 500

/**
 * Reads the query of a URL as a form would send it (WHATWG URL, application/x-www-form-urlencoded): pairs between `&`,
 * `+` for a space. Stricter in three ways: percent-encoding must be complete and valid UTF-8, brackets mean nothing, and
 * there are at most 500 pairs.
 *
 * @param url whatever stands in front of the first `?` is not looked at
 */
export function parseQuery(url: string): Fields | FieldFault {
  const fields = newFields()
  const start = url.indexOf('?')
  if (start === -1) return fields
  const query = url.slice(start + 1)
  // Those that are empty do not count, and thousands of them cost nothing.
  const pairs = (query.includes('&&') ? query.replace(/&&+/g, '&') : query).split('&')
  if (pairs.length > MOST_FIELDS && pairs.filter((pair) => pair !== '').length > MOST_FIELDS)
    return 'too-many'
  for (const pair of pairs) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decodeForm(equals === -1 ? pair : pair.slice(0, equals))
    const value = decodeForm(equals === -1 ? '' : pair.slice(equals + 1))
    if (name === undefined || value === undefined) return 'percent-encoding'
    if (name === '__proto__') return 'proto-key'
    addField(fields, name, value)
  }
  return fields
}

/** A record that inherits nothing, so that every name is just a name. */
export function newFields(): Fields {
  return new BareRecord<string[]>()
}

export function addField(fields: Fields, name: string, value: string): void {
  const values = fields[name]
  if (values === undefined) fields[name] = [value]
  else values.push(value)
}

function decodeForm(text: string): string | undefined {
  return decodePercent(text.includes('+') ? text.replaceAll('+', ' ') : text)
}

/** `undefined` for a stray `%` and for bytes that are not UTF-8. */
export function decodePercent(text: string): string | undefined {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
