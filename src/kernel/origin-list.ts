import { show } from './check.js'
import { ConfigError } from './config-error.js'

/** Other schemes, such as those of apps in a web view (`capacitor://localhost`): browsers do not normalise their hosts. */
const OTHER_ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[a-zA-Z0-9._-]+(?::[0-9]{1,5})?$/

/**
 * The origins of an allow-list, each exactly as a browser sends it (RFC 6454 section 7): a spelling that no browser uses
 * would never match, and whoever wrote it would look for the fault elsewhere.
 *
 * @throws ConfigError for everything else, with the spelling that was probably meant
 */
export function originList(option: string, origins: unknown): ReadonlySet<string> {
  if (!Array.isArray(origins) || origins.length === 0)
    throw new ConfigError(
      `${option} must list at least one origin, such as 'https://app.example.com', got ${show(origins)}`,
    )
  return new Set((origins as unknown[]).map((origin, i) => checked(`${option}[${i}]`, origin)))
}

function checked(option: string, origin: unknown): string {
  if (origin === '*')
    throw new ConfigError(
      `${option} must name one origin, got "*"; to let any page read this API, write dangerouslyAllowAnyOrigin: true`,
      'any-origin',
    )
  if (origin === 'null')
    throw new ConfigError(
      `${option} must not be "null": sandboxed frames and local files of anybody send it; name a real origin`,
      'null-origin',
    )
  if (typeof origin !== 'string')
    throw new ConfigError(
      `${option} must be a string (patterns and functions let too much in), got ${show(origin)}`,
    )
  if (origin.includes('*'))
    throw new ConfigError(`${option} must not have a wildcard, got ${show(origin)}; list each origin`)

  const meant = originOf(origin)
  if (meant === origin) return origin
  throw new ConfigError(
    `${option} must be an origin as browsers send it (scheme, host, a port that is not the scheme's own; no path, ` +
      `no trailing slash, lower case)${meant === undefined ? `, got ${show(origin)}` : `: write "${meant}"`}`,
  )
}

function originOf(text: string): string | undefined {
  let url: URL
  try {
    // Once it is compiled, `URL.canParse` of Node 20 says no to hosts beyond ASCII.
    url = new URL(text)
  } catch {
    return undefined
  }
  if (url.origin !== 'null')
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.origin : undefined
  return OTHER_ORIGIN.test(text) ? text : undefined
}
