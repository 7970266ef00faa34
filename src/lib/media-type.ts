/** A `Content-Type` that is well formed. Type and subtype are in lower case. */
export interface MediaType {
  /** Without parameters: `application/json`. */
  readonly essence: string
  /** The `charset` parameter in lower case, if there is one. */
  readonly charset: string | undefined
}

/** Far above any real one, boundaries included. */
const MAX_LENGTH = 1_000

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/**
 * Reads a `Content-Type` field (RFC 9110 section 8.3.1). `undefined` for whatever is not exactly one media type: a
 * reader that guesses sees another type than the next one.
 */
export function parseMediaType(field: string): MediaType | undefined {
  if (field.length > MAX_LENGTH) return undefined
  const semicolon = field.indexOf(';')
  const essence = (semicolon === -1 ? field : field.slice(0, semicolon)).trim().toLowerCase()
  const slash = essence.indexOf('/')
  if (slash === -1 || !TOKEN.test(essence.slice(0, slash)) || !TOKEN.test(essence.slice(slash + 1)))
    return undefined

  let charset: string | undefined
  let at = semicolon === -1 ? field.length : semicolon
  while (at < field.length) {
    const parameter = parameterAt(field, at + 1)
    if (parameter === undefined) return undefined
    at = parameter.end
    if (parameter.name !== 'charset') continue
    if (charset !== undefined) return undefined
    charset = parameter.value.toLowerCase()
  }
  return { essence, charset }
}

/** `application/json` and every type with the suffix `+json` (RFC 6839 section 3.1). */
export function isJsonType({ essence }: MediaType): boolean {
  return essence === 'application/json' || (essence.startsWith('application/') && essence.endsWith('+json'))
}

interface Parameter {
  readonly name: string
  readonly value: string
  /** Where the next semicolon stands, or the end of the field. */
  readonly end: number
}

/** `parameters = *( OWS ";" OWS [ parameter ] )`: an empty one is well formed (RFC 9110 section 5.6.6). */
function parameterAt(field: string, start: number): Parameter | undefined {
  const from = skipBlanks(field, start)
  if (from === field.length || field[from] === ';') return { name: '', value: '', end: from }
  const equals = field.indexOf('=', from)
  if (equals === -1) return undefined
  const name = field.slice(from, equals).toLowerCase()
  if (!TOKEN.test(name)) return undefined

  if (field[equals + 1] !== '"') {
    const semicolon = field.indexOf(';', equals)
    const end = semicolon === -1 ? field.length : semicolon
    const value = field.slice(equals + 1, end).trimEnd()
    return TOKEN.test(value) ? { name, value, end } : undefined
  }
  let value = ''
  for (let i = equals + 2; i < field.length; i++) {
    const char = field[i]!
    if (char === '"') {
      const end = skipBlanks(field, i + 1)
      return end === field.length || field[end] === ';' ? { name, value, end } : undefined
    }
    value += char === '\\' ? (field[++i] ?? '') : char
  }
  return undefined
}

function skipBlanks(field: string, from: number): number {
  let at = from
  while (field[at] === ' ' || field[at] === '\t') at++
  return at
}
