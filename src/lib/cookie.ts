/**
 * The values of all cookies with this very name in a `Cookie` field (RFC 6265 section 5.4), two at most, as they were sent:
 * neither unquoted nor decoded, so that every reader of a credential reads the same one. Only spaces and tabs are taken off
 * around a name: an invisible character that another reader would take off as well is how a neighbouring domain passes its
 * own cookie off as one with the prefix `__Host-`.
 */
export function cookiesNamed(name: string, field: string | undefined): readonly string[] {
  if (field === undefined) return NONE
  let first: string | undefined
  for (let at = field.indexOf(name); at !== -1; at = field.indexOf(name, at + 1)) {
    const equals = skipBlanks(field, at + name.length)
    if (field.charCodeAt(equals) !== EQUALS || !beginsCookie(field, at)) continue
    const semicolon = field.indexOf(';', equals)
    const value = trimmed(field, equals + 1, semicolon === -1 ? field.length : semicolon)
    if (first !== undefined) return [first, value]
    first = value
  }
  return first === undefined ? NONE : [first]
}

const NONE: readonly string[] = []
const EQUALS = 0x3d
const SEMICOLON = 0x3b

/** Whether nothing but blanks stands between here and the cookie before, if there is one. */
function beginsCookie(field: string, at: number): boolean {
  let before = at - 1
  while (before >= 0 && isBlank(field.charCodeAt(before))) before--
  return before < 0 || field.charCodeAt(before) === SEMICOLON
}

function skipBlanks(field: string, from: number): number {
  let at = from
  while (isBlank(field.charCodeAt(at))) at++
  return at
}

/** A part of a `Cookie` field without the spaces and tabs around it, and with all else that may look like one. */
export function trimmed(text: string, from: number, to: number): string {
  let start = from
  let end = to
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/** What is written about a cookie besides its name and value. */
export interface CookieAttributes {
  readonly secure: boolean
  readonly httpOnly: boolean
  readonly sameSite: 'lax' | 'strict' | 'none'
  /** In seconds. 0 takes the cookie away. Default: it goes when the browser does. */
  readonly maxAgeSeconds?: number
}

/** A `Set-Cookie` field for the whole host and no other one: no `Domain`, and `Path=/`, as the prefix `__Host-` asks. */
export function cookieField(name: string, value: string, attributes: CookieAttributes): string {
  const { secure, httpOnly, sameSite, maxAgeSeconds } = attributes
  const age = maxAgeSeconds === undefined ? '' : `; Max-Age=${maxAgeSeconds}`
  return `${name}=${value}; Path=/${age}${httpOnly ? '; HttpOnly' : ''}${secure ? '; Secure' : ''}; SameSite=${SAME_SITE[sameSite]}`
}

const SAME_SITE = { lax: 'Lax', strict: 'Strict', none: 'None' } as const

interface Fields {
  getHeader(name: string): number | string | string[] | undefined
  setHeader(name: string, value: string | string[]): unknown
}

/** Adds a cookie to a reply, in place of one of the same name that was to be set there before. */
export function addCookie(head: Fields, name: string, field: string): void {
  const present = head.getHeader('Set-Cookie')
  const list = present === undefined ? [] : Array.isArray(present) ? present : [String(present)]
  head.setHeader('Set-Cookie', [...list.filter((one) => !one.startsWith(`${name}=`)), field])
}
