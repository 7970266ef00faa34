import { boolean, integer, knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { Finding } from '../kernel/stage.js'
import { originList } from '../kernel/origin-list.js'

export interface CorsOptions {
  /**
   * The origins whose pages may call this API, exactly as browsers send them: `'https://app.example.com'`. No path, no
   * trailing slash, no wildcard, no pattern; the port only if it is not the scheme's own. Required.
   * Preflights from others: 403 `origin-not-allowed`. `null` is never allowed.
   */
  origins?: readonly string[]
  /** Methods that pages of other origins may use. Default `DELETE GET HEAD PATCH POST PUT`. */
  methods?: readonly string[]
  /** Request header fields they may set beyond the safelisted ones. Default `Authorization`, `Content-Type`, `DPoP`. */
  allowedHeaders?: readonly string[]
  /**
   * Reply header fields they may read beyond the safelisted ones. Default: those of this package, which are `DPoP-Nonce`,
   * `RateLimit`, `RateLimit-Policy`, `Retry-After`, `WWW-Authenticate` and `X-Request-Id`.
   */
  exposedHeaders?: readonly string[]
  /** Whether browsers attach cookies and client certificates. Default false. Bearer tokens do not need it. */
  credentials?: boolean
  /** How long browsers may remember a preflight's answer, in seconds, up to a day. Default 600. 0: not at all. */
  maxAgeSeconds?: number
  /**
   * Lets pages of any origin but `null` call this API and read its replies (`Access-Control-Allow-Origin: *`), for
   * public data only. Excludes `origins` and `credentials`. Default false.
   */
  dangerouslyAllowAnyOrigin?: boolean
}

/** The options after checks and defaults. */
export interface CorsSettings extends Required<Omit<CorsOptions, 'origins' | 'dangerouslyAllowAnyOrigin'>> {
  readonly origins: ReadonlySet<string> | '*'
}

const METHODS = ['DELETE', 'GET', 'HEAD', 'PATCH', 'POST', 'PUT'] as const
const ALLOWED_HEADERS = ['Authorization', 'Content-Type', 'DPoP'] as const
const EXPOSED_HEADERS = [
  'DPoP-Nonce',
  'RateLimit',
  'RateLimit-Policy',
  'Retry-After',
  'WWW-Authenticate',
  'X-Request-Id',
] as const
const DAY_SECONDS = 86_400

/** @throws ConfigError for options that are wrong alone or together */
export function corsSettings(options: CorsOptions): CorsSettings {
  knownKeys('cors', options, [
    'origins',
    'methods',
    'allowedHeaders',
    'exposedHeaders',
    'credentials',
    'maxAgeSeconds',
    'dangerouslyAllowAnyOrigin',
  ])
  const {
    origins,
    methods = METHODS,
    allowedHeaders = ALLOWED_HEADERS,
    exposedHeaders = EXPOSED_HEADERS,
    credentials = false,
    maxAgeSeconds = 600,
    dangerouslyAllowAnyOrigin: any = false,
  } = options
  boolean('cors.credentials', credentials)
  boolean('cors.dangerouslyAllowAnyOrigin', any)
  if (any && credentials)
    throw new ConfigError(
      'cors.credentials must not be true with dangerouslyAllowAnyOrigin: every page on the web could act as its visitor; list the origins',
      'any-origin-with-credentials',
    )
  if (any && origins !== undefined)
    throw new ConfigError('cors.origins and cors.dangerouslyAllowAnyOrigin exclude each other; keep one')

  return {
    origins: any ? '*' : originList('cors.origins', origins),
    methods: tokens('cors.methods', methods, /^[A-Z][A-Z-]*$/),
    allowedHeaders: tokens('cors.allowedHeaders', allowedHeaders, FIELD_NAME),
    exposedHeaders: tokens('cors.exposedHeaders', exposedHeaders, FIELD_NAME),
    credentials,
    maxAgeSeconds: integer('cors.maxAgeSeconds', maxAgeSeconds, { min: 0, max: DAY_SECONDS }),
  }
}

/** What `check()` says about settings that work and are risky. */
export function corsFindings({ origins }: CorsSettings): Finding[] {
  if (origins === '*')
    return [
      {
        code: 'cors-any-origin',
        severity: 'high',
        cause: 'cors lets the pages of every origin read the replies of this API.',
        fix: 'List the origins of your own pages in cors.origins, unless everything here is public.',
      },
    ]
  return [...origins].filter(isInsecure).map((origin) => ({
    code: 'cors-insecure-origin',
    severity: 'medium',
    cause: `cors.origins lists ${origin}, whose pages anybody on the network path can change.`,
    fix: 'Serve that page over https and list its https origin.',
  }))
}

const LOOPBACK = /^http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]+)?$/

function isInsecure(origin: string): boolean {
  return origin.startsWith('http:') && !LOOPBACK.test(origin)
}

// RFC 9110 section 5.6.2, without `*`: a wildcard would not cover Authorization, and means itself with credentials.
const FIELD_NAME = /^[!#$%&'+.^_`|~0-9A-Za-z-]+$/

function tokens(option: string, values: unknown, form: RegExp): readonly string[] {
  if (!Array.isArray(values)) throw new ConfigError(`${option} must be a list, got ${show(values)}`)
  for (const value of values as unknown[]) {
    if (typeof value !== 'string' || !form.test(value))
      throw new ConfigError(`${option} must list names one by one, without a wildcard, got ${show(value)}`)
  }
  return Object.freeze([...new Set(values as string[])])
}
