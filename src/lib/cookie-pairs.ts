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
  const cookies = newFields()
  let count = 0
  for (const pair of field.split(';')) {
    const equals = pair.indexOf('=')
    if (equals === -1) continue
    const name = trimmed(pair, 0, equals)
    if (wanted?.has(name) === false) continue
    if (name === '__proto__') return 'proto-key'
    if (++count > MOST_FIELDS) return 'too-many'
    const text = trimmed(pair, equals + 1, pair.length)
    const quoted = text.length > 1 && text.startsWith('"') && text.endsWith('"')
    const value = decodePercent(quoted ? text.slice(1, -1) : text)
    if (value === undefined) return 'percent-encoding'
    addField(cookies, name, value)
  }
  return cookies
}
