import { boolean, knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { defineStage } from '../kernel/define.js'
import { mayLackFields } from '../kernel/dropped-fields.js'
import { fieldCount } from '../kernel/field-count.js'
import { refuse } from '../kernel/problem.js'
import type { Finding } from '../kernel/stage.js'
import { endOfLower, spellingOf } from '../lib/path-spelling.js'
import { ambiguityOf, type Ambiguity } from '../lib/ambiguous-path.js'
import { once } from '../lib/once.js'
import { warmUp } from '../lib/warm-up.js'
import { hostList } from './host-list.js'

export interface FirewallOptions {
  /**
   * The methods that this API knows, in upper case. Default `DELETE GET HEAD OPTIONS PATCH POST PUT`.
   * Others: 405 `method-not-allowed` with `Allow` (RFC 9110 section 15.5.6). `TRACE` and `CONNECT` cannot be listed.
   */
  methods?: readonly string[]
  /**
   * The hosts that this API answers for, as the `Host` field carries them: `'api.example.com'`, `'localhost:3000'`.
   * Compared exactly but for case; a port that clients send must be written. Default: any host, named once.
   * Others: 400 `invalid-host`.
   */
  hosts?: readonly string[]
  /** Single checks of the path that this API cannot live with. Default: none is switched off. */
  allow?: AllowedAmbiguities
}

/** Checks of the path that may be switched off, one by one. All default to `false`: the path is refused. */
export interface AllowedAmbiguities {
  /** `;` and `%3b`, which some servers take for the start of path parameters. Refused: 400 `ambiguous-path`. */
  semicolon?: boolean
  /** `%2f`, which some readers decode into a separator. Refused: 400 `ambiguous-path`. */
  encodedSlash?: boolean
  /** `\` and `%5c`, which some readers take for `/`. Refused: 400 `ambiguous-path`. */
  backslash?: boolean
  /** `//`, which some readers fold and URL parsers take for the start of a host. Refused: 400 `ambiguous-path`. */
  duplicateSlash?: boolean
  /** `%25` that makes the decoded path look encoded again, as in `%252e` (ASVS 1.1.1). Refused: 400 `ambiguous-path`. */
  doubleEncoding?: boolean
  /** A space or a byte beyond ASCII that should have been percent-encoded. Refused: 400 `ambiguous-path`. */
  unencodedCharacter?: boolean
}

const LOOSENABLE = {
  semicolon: 'semicolon',
  encodedSlash: 'encoded-slash',
  backslash: 'backslash',
  duplicateSlash: 'duplicate-slash',
  doubleEncoding: 'double-encoding',
  unencodedCharacter: 'unencoded-character',
} as const satisfies Record<keyof AllowedAmbiguities, Ambiguity>

const METHODS = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT'] as const

/**
 * Refuses requests that two readers could understand in two ways, before anything is matched against them: ambiguous
 * paths (400 `ambiguous-path`), unlisted methods (405 `method-not-allowed`), repeated or foreign hosts (400
 * `invalid-host`), transfer codings other than `chunked` (400 `malformed-body`), more header fields than Node keeps (431
 * `too-many-fields`). Only the path is judged, never the query. Report mode does not apply: the rules behind it rely on it.
 *
 * @example
 * app.use(firewall({ hosts: ['api.example.com'], allow: { encodedSlash: true } }))
 *
 * @throws ConfigError for methods that are none, hosts with a scheme or path, and unknown names in `allow`
 */
export const firewall = defineStage('firewall', (options: FirewallOptions = {}) => {
  knownKeys('firewall', options, ['methods', 'hosts', 'allow'], ['methods', 'hosts'])
  const { methods = METHODS, hosts, allow = {} } = options
  knownKeys('firewall.allow', allow, Object.keys(LOOSENABLE))

  const known = methodSet(methods)
  const allowHeader = { Allow: [...known].join(', ') }
  const served = hosts === undefined ? undefined : hostList('firewall.hosts', hosts)
  const allowed = allowedAmbiguities(allow)
  void warmUpPaths()

  return {
    reportable: 'never' as const,

    enter({ req, path }) {
      if (mayLackFields(req)) return refuse('too-many-fields', { rule: 'dropped-fields' })

      if (!known.has(req.method ?? ''))
        return refuse('method-not-allowed', { rule: 'methods', headers: allowHeader })

      const ambiguity = ambiguityOf(path, allowed)
      if (ambiguity !== undefined)
        return refuse('ambiguous-path', { rule: ambiguity, detail: DETAILS[ambiguity] })

      // Node keeps the first and says nothing; a proxy may have kept another (RFC 9112 section 3.2).
      if (fieldCount(req, 'host') > 1) return refuse('invalid-host', { rule: 'duplicate-host' })
      if (served !== undefined && !served.has((req.headers.host ?? '').toLowerCase()))
        return refuse('invalid-host', { rule: 'hosts' })

      // Node's parser takes `gzip, chunked`, and ends others only once their body is read.
      const coding = req.headers['transfer-encoding']
      if (coding !== undefined && coding.toLowerCase() !== 'chunked')
        return refuse('malformed-body', UNKNOWN_CODING)
    },

    ready: () => warmUpPaths(),

    describe: () => ({ methods: [...known], hosts: served && [...served], allow: [...allowed] }),

    findings: (): Finding[] =>
      [...allowed].map((ambiguity) => ({
        code: 'firewall-loosened',
        severity: 'medium',
        cause: `firewall lets paths with "${ambiguity}" pass, which proxies, routers and rules may read differently.`,
        fix: 'Leave the check on, or make sure that every rule and every reader behind it agrees on such paths.',
      })),
  }
})

/** For whatever takes a path apart letter by letter: encodings of one to four bytes, dots, and what is written plainly. */
const PATHS = ['%61'.repeat(150), 'a.b/%c3%a9c/..d/%7Ex/'.repeat(8), '%e2%82%ac%F0%9F%98%80.'.repeat(20)]
const PLAIN = '/a.b/C-d/.e/...'.repeat(50)
const SEGMENT = 'a.b-c'.repeat(150)
const warmUpPaths = once(() =>
  warmUp([
    ...PATHS.map((path) => () => ambiguityOf(`/${path}`)),
    () => spellingOf(PLAIN),
    () => endOfLower(SEGMENT, 0),
  ]),
)

const UNKNOWN_CODING = {
  detail: 'The only transfer coding of requests is chunked.',
  rule: 'transfer-coding',
  headers: { Connection: 'close' },
}

const DETAILS: Readonly<Record<Ambiguity, string>> = {
  'absolute-form': 'The request target must be a path that begins with a slash.',
  'asterisk-form': 'The request target must be a path that begins with a slash.',
  backslash: 'The path has a backslash.',
  'control-character': 'The path has a control character.',
  'dot-segment': 'The path has a dot segment.',
  'double-encoding': 'The path is percent-encoded more than once.',
  'duplicate-slash': 'The path has an empty segment.',
  'encoded-slash': 'The path has an encoded slash.',
  fragment: 'The path has a fragment.',
  'invalid-encoding': 'The path is not percent-encoded UTF-8.',
  semicolon: 'The path has a semicolon.',
  'unencoded-character': 'The path has a character that must be percent-encoded.',
}

function methodSet(methods: unknown): ReadonlySet<string> {
  if (!Array.isArray(methods) || methods.length === 0)
    throw new ConfigError(`firewall.methods must list at least one method, got ${show(methods)}`)
  for (const method of methods as unknown[]) {
    if (typeof method !== 'string' || !/^[A-Z][A-Z-]*$/.test(method))
      throw new ConfigError(
        `firewall.methods must list methods in upper case, such as 'GET', got ${show(method)}`,
      )
    // TRACE sends a request's credentials back (ASVS 13.4.4); CONNECT makes a tunnel of a server.
    if (method === 'TRACE' || method === 'CONNECT')
      throw new ConfigError(
        `firewall.methods must not list ${method}: no API answers it safely; leave it out`,
      )
  }
  return new Set(methods as string[])
}

function allowedAmbiguities(allow: AllowedAmbiguities): ReadonlySet<Ambiguity> {
  const names = Object.keys(LOOSENABLE) as (keyof AllowedAmbiguities)[]
  for (const name of names) {
    if (allow[name] !== undefined) boolean(`firewall.allow.${name}`, allow[name])
  }
  return new Set(names.filter((name) => allow[name]).map((name) => LOOSENABLE[name]))
}
