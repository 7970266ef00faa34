import { boolean, knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { originList } from '../kernel/origin-list.js'
import type { Secret } from '../kernel/secret.js'
import { CsrfTokens } from './csrf-token.js'

export interface CsrfOptions {
  /**
   * Other origins whose pages may act for whoever visits them, exactly as browsers send them: `['https://app.example.com']`. Default: none, only
   * pages of the host that was called. Others: 403 `cross-site-request`.
   */
  origins?: readonly string[]
  /**
   * Judges every request that may change something, also of callers whom no cookie proved: for logins, which have no session yet. Default
   * false.
   */
  always?: boolean
  /**
   * What tokens are signed with (HMAC-SHA-256), at least 32 bytes, or a list of up to 5, the new one first: for clients that send neither
   * `Sec-Fetch-Site` nor `Origin`. Default: none; such clients are refused with 403 `cross-site-request`.
   */
  secret?: Secret | readonly Secret[]
  /** The header field that brings a token back. Default `'X-CSRF-Token'`. Without `secret` there is none. */
  header?: string
  /** For development without TLS: the cookie of the token has neither `Secure` nor the prefix `__Host-`. Default false. Without `secret` there is none. `api.check(app)` names it. */
  dangerouslyAllowHttp?: boolean
}

/** The same, checked. */
export interface CsrfRules {
  readonly origins: ReadonlySet<string>
  readonly always: boolean
  readonly tokens: CsrfTokens | undefined
  readonly secure: boolean
}

const KNOWN = ['origins', 'always', 'secret', 'header', 'dangerouslyAllowHttp']

/** @throws ConfigError naming option, rule, value and fix */
export function prepareCsrf(options: CsrfOptions): CsrfRules {
  knownKeys('csrf', options, KNOWN, ['origins', 'always', 'secret'])
  const { origins, always = false, secret, header = 'X-CSRF-Token', dangerouslyAllowHttp = false } = options
  if (typeof header !== 'string' || !/^X-[A-Za-z0-9-]{1,62}$/.test(header))
    throw new ConfigError(
      `csrf.header must begin with X- and have letters, digits and hyphens, so that no page of another origin can send it unasked, got ${show(header)}`,
    )
  const secure = !boolean('csrf.dangerouslyAllowHttp', dangerouslyAllowHttp)
  if (secret === undefined && (options.header !== undefined || !secure))
    throw new ConfigError(
      `csrf.${options.header === undefined ? 'dangerouslyAllowHttp' : 'header'} says something about tokens, and there are none without csrf.secret; write it, or leave this out`,
    )
  return {
    origins: origins === undefined ? new Set() : originList('csrf.origins', origins),
    always: boolean('csrf.always', always),
    tokens: secret === undefined ? undefined : new CsrfTokens(secret, header, secure),
    secure,
  }
}

const TOKENS = { secret: undefined, header: 'X-CSRF-Token', dangerouslyAllowHttp: false } as const

/**
 * Why no request could be what the general setting and that of a route or guard ask together, behind the name of the latter; `undefined`
 * if one could. Both are sound by themselves.
 */
export function csrfConflict(general: CsrfOptions, own: CsrfOptions): string | undefined {
  const listed = new Set(general.origins)
  // Whom the general setting does not judge, this one alone decides about: a login may have pages of its own.
  const isAlone = own.always === true && general.always !== true
  if (own.origins !== undefined && !isAlone && !own.origins.some((origin) => listed.has(origin)))
    return '.origins has none of csrf.origins, and both are asked, so that it lets no page in; list them there too'
  const differing = (['secret', 'header', 'dangerouslyAllowHttp'] as const).find(
    (name) => own[name] !== undefined && !isSame(own[name], general[name] ?? TOKENS[name]),
  )
  return (
    differing &&
    `.${differing} is not that of the API, and both are asked: no token would be what each takes; write it in the general setting alone`
  )
}

function isSame(one: unknown, other: unknown): boolean {
  const [mine, theirs] = [one, other].map((value): unknown[] => (Array.isArray(value) ? value : [value]))
  return mine!.length === theirs!.length && mine!.every((value, i) => value === theirs![i])
}
