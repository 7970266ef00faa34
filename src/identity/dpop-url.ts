/** Scheme, authority and path; query and fragment are not compared (RFC 9449 section 4.3). */
const PARTS = /^(https?):\/\/([^/?#]+)([^?#]*)/i
const ESCAPE = /%[0-9a-f]{2}/gi
const UNRESERVED = /[A-Za-z0-9\-._~]/
const USUAL_PORT = { http: /:80$/, https: /:443$/ } as const

/**
 * Whether an `htu` is for a path under one of the base URLs, which are normal. Most are written as they are compared: then
 * nothing has to be normalized first.
 */
export function isUrlUnder(htu: string, bases: readonly string[], path: string): boolean {
  const isNormal = path.startsWith('/') && !path.includes('%') && !path.includes('#')
  if (isNormal && bases.some((base) => htu === base + path)) return true
  const url = normalUrl(htu)
  const normal = normalPath(path)
  return bases.some((base) => base + normal === url)
}

/**
 * An `htu` in the one spelling that is compared: RFC 9449 section 4.3 asks for the normalization of RFC 3986 sections 6.2.2 and
 * 6.2.3. Dot segments stay, so that no two readers of a path can differ. `undefined` for what is no http URL.
 */
export function normalUrl(htu: string): string | undefined {
  const parts = PARTS.exec(htu) as unknown as [string, string, string, string] | null
  if (parts === null) return undefined
  const scheme = parts[1].toLowerCase() as keyof typeof USUAL_PORT
  const authority = parts[2].toLowerCase().replace(USUAL_PORT[scheme], '')
  return `${scheme}://${authority}${normalPath(parts[3])}`
}

/** A path, with what need not be escaped unescaped (RFC 3986 section 6.2.2). */
export function normalPath(path: string): string {
  if (path === '') return '/'
  return path.includes('%') ? path.replace(ESCAPE, normalEscape) : path
}

function normalEscape(escape: string): string {
  const character = String.fromCharCode(parseInt(escape.slice(1), 16))
  return UNRESERVED.test(character) ? character : escape.toUpperCase()
}
