import { checkClock } from '../kernel/check-clock.js'
import { func, integer, knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { consoleLog } from '../kernel/console-log.js'
import { guardedRecords } from '../kernel/guarded.js'
import { MemoryRecords } from '../kernel/memory-records.js'
import type { Clock, Later, RecordStore, Store } from '../kernel/ports.js'
import { checkStore } from '../kernel/store-ports.js'
import { systemClock } from '../kernel/system-clock.js'
import type { Claims } from './claims.js'
import type { DpopMode, DpopOptions } from './dpop-options.js'
import { checkAudience, checkName } from './issuer-names.js'
import type { PrivateKey } from './private-key.js'
import { checkRevocation, revocations, type Revocations } from './revocation.js'
import type { SigningKeys } from './signing-keys.js'
import { tokensKeys, type SigningKeyRingOptions } from './tokens-keys.js'
import { tokensProofs, type TokensProofs } from './tokens-proofs.js'

export type { SigningKeyRingOptions } from './tokens-keys.js'

/** A login, as `renew` sees it. */
export interface RenewalRequest {
  readonly subject: string
  readonly sid: string
  readonly clientId: string
  readonly scope: string | undefined
  readonly claims: Claims
}

export interface TokensOptions {
  /** The `iss` of the tokens: the https URL by which your API is known. Required. */
  issuer: string
  /** The `aud` of access tokens: the APIs that they are for, as their `bearer` calls them. Required. */
  audience: string | readonly string[]
  /** Where refresh tokens, revocations and sealed keys are: `redis(client)`, `postgres(pool)` or `memory()`. Required. Away: 503 `store-unavailable`. */
  store: Store
  /**
   * Private keys that sign: JWK, PEM text or KeyObject of P-256, P-384, P-521, Ed25519 or RSA. The first one signs, all are published. Required
   * where several processes share the store, unless `keyRing` is there.
   */
  keys?: PrivateKey | readonly PrivateKey[]
  /** Instead of `keys`: keys (ES256) that are made and changed by themselves and kept in the store, sealed. Default: in the memory of this process. */
  keyRing?: SigningKeyRingOptions
  /** How long an access token is good, in seconds. Default 600. At most 3,600. Later: 401 `invalid-token`. */
  accessSeconds?: number
  /** How long a refresh token is good, in seconds: who does not come back in time has to log in again. Default 1,209,600, 14 days. Later: 400 `invalid-grant`. */
  idleSeconds?: number
  /** How long a login lasts at most, in seconds, however often it is refreshed. Default 2,592,000, 30 days. Later: 400 `invalid-grant`. */
  absoluteSeconds?: number
  /**
   * How long a refresh token may be sent once more, in milliseconds, by a client that did not receive the answer: it gets the same successor
   * again, unless that was used. Default 10,000. 0: never, and whoever sends one twice is logged out.
   */
  graceMs?: number
  /** The `client_id` of tokens whose login names none. Default `'first-party'`. */
  clientId?: string
  /**
   * Asked at each refresh: what is said of the subject now, instead of the `claims` of its login; `false` ends the login with 400
   * `invalid-grant`. Default: what was said at the login.
   */
  renew?: (login: RenewalRequest) => Later<Claims | false>
  /**
   * Whether tokens are bound to a key of their client, access and refresh tokens alike, where it sends a DPoP proof with the login and each refresh (RFC
   * 9449 section 5): `'allowed'`, or `'required'` for all, or options, which `bearer` gets too. `baseUrls` is the origin of `issuer`, and `store` that of the
   * tokens, unless they are there. Default `'off'`. Bad proofs, or none: 400 `invalid-dpop-proof`.
   */
  dpop?: DpopMode | DpopOptions
  /** What was revoked, if other methods share it. Default: a list of its own in `store`. */
  revocation?: Revocations
  /** The clock. Default: the system's. */
  clock?: Clock
  /** How long the store may take to answer, in milliseconds. Default 1,000. Later: 503 `store-unavailable`. */
  storeTimeoutMs?: number
}

const KNOWN = [
  ...[
    'issuer',
    'audience',
    'store',
    'keys',
    'keyRing',
    'accessSeconds',
    'idleSeconds',
    'absoluteSeconds',
    'graceMs',
  ],
  ...['clientId', 'renew', 'dpop', 'revocation', 'clock', 'storeTimeoutMs'],
]
const YEAR_SECONDS = 31_536_000

/** The same, checked. */
export interface TokensRules extends TokensProofs {
  readonly issuer: string
  readonly audiences: readonly string[]
  readonly records: RecordStore
  readonly keys: SigningKeys
  readonly accessSeconds: number
  readonly idleMs: number
  readonly absoluteMs: number
  readonly graceMs: number
  readonly clientId: string
  readonly renew: TokensOptions['renew']
  readonly revocation: Revocations
  readonly clock: Clock
}

/** @throws ConfigError naming option, rule, value and fix */
export function prepareTokens(options: TokensOptions): TokensRules {
  knownKeys('tokens', options, KNOWN, ['store', 'keys', 'keyRing', 'revocation', 'renew', 'dpop'])
  const { issuer, clientId = 'first-party', renew, storeTimeoutMs = 1_000 } = options
  const clock = checkClock('tokens.clock', options.clock === undefined ? systemClock : options.clock)
  checkName('tokens.issuer', issuer)
  const audiences = checkAudience('tokens.audience', options.audience)
  const store = checkStore('tokens.store', options.store, 'records') as Store & { records: RecordStore }
  const timeoutMs = integer('tokens.storeTimeoutMs', storeTimeoutMs, { max: 60_000 })
  const records = guardedRecords(store.records, { clock, log: consoleLog, timeoutMs })
  const whole = (name: keyof TokensOptions, usual: number, min: number, max: number) =>
    integer(`tokens.${name}`, options[name] === undefined ? usual : options[name], { min, max })

  const accessSeconds = whole('accessSeconds', 600, 30, 3_600)
  const absoluteSeconds = whole('absoluteSeconds', 2_592_000, 60, YEAR_SECONDS)
  const idleSeconds = whole('idleSeconds', Math.min(1_209_600, absoluteSeconds), 60, absoluteSeconds)
  const {
    revocation = revocations({ store, clock, keepSeconds: absoluteSeconds + 86_400, storeTimeoutMs }),
  } = options
  const { keepSeconds, revokedUntil } = (checkRevocation('tokens.revocation', revocation) ??
    {}) as Partial<Revocations>
  const isLong = typeof keepSeconds === 'number' && keepSeconds >= absoluteSeconds + accessSeconds
  if (!isLong || typeof revokedUntil !== 'function') {
    throw new ConfigError(
      'tokens.revocation must be made by revocations({ keepSeconds }) with more than absoluteSeconds and accessSeconds; otherwise a login could outlive its end',
    )
  }
  if (typeof clientId !== 'string' || !/^[\x20-\x7e]+$/.test(clientId))
    throw new ConfigError(`tokens.clientId must be a text of printable ASCII, got ${show(clientId)}`)
  return {
    issuer,
    audiences,
    records,
    keys: tokensKeys(options, {
      issuer,
      records,
      clock,
      accessMs: accessSeconds * 1000,
      inMemory: store.records instanceof MemoryRecords,
    }),
    accessSeconds,
    idleMs: idleSeconds * 1000,
    absoluteMs: absoluteSeconds * 1000,
    graceMs: whole('graceMs', 10_000, 0, 60_000),
    clientId,
    renew: renew === undefined ? undefined : func('tokens.renew', renew),
    ...tokensProofs(options.dpop, issuer, store),
    revocation,
    clock,
  }
}
