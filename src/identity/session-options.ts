import { checkClock } from '../kernel/check-clock.js'
import { boolean, integer, knownKeys, oneOf, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { Clock, RecordStore, Store } from '../kernel/ports.js'
import { checkStore } from '../kernel/store-ports.js'
import { systemClock } from '../kernel/system-clock.js'
import { checkRevocation, type Revocation } from './revocation.js'

export interface SessionOptions {
  /** Where sessions are: `redis(client)`, `postgres(pool)` or `memory()`. Required. While it is away: 503 `store-unavailable`. */
  store: Store
  /** The name of the cookie behind its prefix `__Host-`: 1 to 64 letters, digits, hyphens and underscores, not `csrf`. Default `'session'`. */
  name?: string
  /**
   * When browsers send the cookie with requests that other sites cause: `'lax'` when they lead here, `'strict'` never, `'none'` always. Default
   * `'lax'`. With `'none'`, what keeps other sites out is `csrf` alone.
   */
  sameSite?: 'lax' | 'strict' | 'none'
  /** How long a session may be left alone, in milliseconds. Default 1,800,000, half an hour. Longer: 401 `invalid-session` (ASVS 7.3.1). */
  idleTimeoutMs?: number
  /** How long a session lasts at most, in milliseconds from login. Default 43,200,000, 12 hours. Longer: 401 `invalid-session` (ASVS 7.3.2). */
  absoluteTimeoutMs?: number
  /**
   * How often the use of a session is written down, in milliseconds, at most half of `idleTimeoutMs`. A session that is left alone may
   * end earlier by so much. Default 60,000, or half of `idleTimeoutMs` if that is less.
   */
  touchMs?: number
  /** Sessions that one subject may have at once, up to 1,000. Default 10. One more: what `whenFull` says (ASVS 7.1.2). */
  maxSessions?: number
  /** What a login does that would be one too many: `'end-oldest'` session, or `'refuse'` with 409 `too-many-sessions`. Default `'end-oldest'`. */
  whenFull?: 'end-oldest' | 'refuse'
  /** What was revoked elsewhere: `revocations({ store })`. Default: only what is ended here is over. Revoked: 401 `invalid-session`. */
  revocation?: Revocation
  /**
   * For development without TLS: the cookie has neither `Secure` nor the prefix `__Host-`, so that everybody on the way can read and
   * change it. Default false. `api.check(app)` names it.
   */
  dangerouslyAllowHttp?: boolean
  /** The `realm` of challenges. Default `'api'`. */
  realm?: string
  /** The clock of logins and of all that is not a request. Default: the system's. */
  clock?: Clock
  /** How long the store may take for a login and the like, in milliseconds. Default 2,000. Later: 503 `store-unavailable`. */
  storeTimeoutMs?: number
}

/** The same, checked. */
export interface SessionRules {
  readonly store: Store & { readonly records: RecordStore }
  readonly cookie: string
  readonly secure: boolean
  readonly sameSite: 'lax' | 'strict' | 'none'
  readonly idleTimeoutMs: number
  readonly absoluteTimeoutMs: number
  readonly touchMs: number
  readonly maxSessions: number
  readonly whenFull: 'end-oldest' | 'refuse'
  readonly revocation: Revocation | undefined
  readonly clock: Clock
  readonly storeTimeoutMs: number
}

const KNOWN = [
  'store',
  'name',
  'sameSite',
  'idleTimeoutMs',
  'absoluteTimeoutMs',
  'touchMs',
  'maxSessions',
  'whenFull',
  'revocation',
  'dangerouslyAllowHttp',
  'realm',
  'clock',
  'storeTimeoutMs',
]
const YEAR_MS = 366 * 86_400_000

/** @throws ConfigError naming option, rule, value and fix */
export function prepareSession(options: SessionOptions): SessionRules {
  knownKeys('session', options, KNOWN, ['store', 'revocation'])
  const { name = 'session', sameSite = 'lax', whenFull = 'end-oldest', maxSessions = 10 } = options
  const { dangerouslyAllowHttp = false, storeTimeoutMs = 2_000 } = options
  const { idleTimeoutMs = 1_800_000, absoluteTimeoutMs = 43_200_000 } = options
  for (const [name, value] of Object.entries({ idleTimeoutMs, absoluteTimeoutMs }))
    integer(`session.${name}`, value, { min: 1_000, max: YEAR_MS })
  if (absoluteTimeoutMs < idleTimeoutMs)
    throw new ConfigError(
      `session.absoluteTimeoutMs must be at least idleTimeoutMs (${idleTimeoutMs}), got ${absoluteTimeoutMs}`,
    )
  const half = Math.floor(idleTimeoutMs / 2)
  const { touchMs = Math.min(60_000, half) } = options
  const secure = !boolean('session.dangerouslyAllowHttp', dangerouslyAllowHttp)
  oneOf('session.sameSite', sameSite, ['lax', 'strict', 'none'])
  if (sameSite === 'none' && !secure)
    throw new ConfigError(
      "session.sameSite cannot be 'none' with dangerouslyAllowHttp: browsers take no such cookie; write 'lax'",
    )
  return {
    store: checkStore('session.store', options.store, 'records') as SessionRules['store'],
    cookie: (secure ? '__Host-' : '') + cookieName(name),
    secure,
    sameSite,
    idleTimeoutMs,
    absoluteTimeoutMs,
    touchMs: integer('session.touchMs', touchMs, { min: 0, max: half }),
    maxSessions: integer('session.maxSessions', maxSessions, { max: 1_000 }),
    whenFull: oneOf('session.whenFull', whenFull, ['end-oldest', 'refuse']),
    revocation: checkRevocation('session.revocation', options.revocation),
    clock: checkClock('session.clock', options.clock === undefined ? systemClock : options.clock),
    storeTimeoutMs: integer('session.storeTimeoutMs', storeTimeoutMs, { max: 60_000 }),
  }
}

function cookieName(name: unknown): string {
  if (name === 'csrf')
    throw new ConfigError("session.name cannot be 'csrf': the tokens of csrf have a cookie of that name")
  if (typeof name === 'string' && /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name)) return name
  throw new ConfigError(
    `session.name must be 1 to 64 letters, digits, hyphens and underscores (the prefix __Host- comes by itself), got ${show(name)}`,
  )
}
