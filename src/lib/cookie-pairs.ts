import { trimmed } from './cookie.js'
import {
  addField,
  decodePercent,
  MOST_FIELDS,
  newFields,
  type FieldFault,
  type Fields,
} from './query-string.js'

/**
 * Reads a `Cookie` field (RFC 6265 section 5.4). Values lose one pair of quotes and are percent-decoded, as browsers'
 * scripts expect. Cookies that are not wanted may be as odd as they like: other applications of the same site set them.
 *
 * @param wanted the names to read; `undefined` for all
 */
export function parseCookies(field: string, wanted: ReadonlySet<string> | undefined): Fields | FieldFault {
  const found: Pair[] = []
  for (let from = 0; ;) {
    const equals = field.indexOf('=', from)
    if (equals === -1) break
    const start = field.lastIndexOf(';', equals) + 1
    const semicolon = field.indexOf(';', equals)
    const end = semicolon === -1 ? field.length : semicolon
    const name = trimmed(field, start, equals)
    from = end + 1
    if (wanted?.has(name) === false) continue
    if (found.push({ name, text: trimmed(field, equals + 1, end) }) > MOST_FIELDS) return 'too-many'
  }

  const cookies = newFields()
  for (const { name, text } of found) {
    if (name === '__proto__') return 'proto-key'
    const quoted = text.length > 1 && text.startsWith('"') && text.endsWith('"')
    const value = decodePercent(quoted ? text.slice(1, -1) : text)
    if (value === undefined) return 'percent-encoding'
    addField(cookies, name, value)
  }
  return cookies
}

/** A cookie as it was sent. */
interface Pair {
  readonly name: string
  readonly text: string
}
