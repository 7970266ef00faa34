import type { KeyObject } from 'node:crypto'
import { checkClock } from '../kernel/check-clock.js'
import { func, integer, knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { Principal } from '../kernel/context.js'
import type { Clock, OnceStore, RecordStore, Store } from '../kernel/ports.js'
import { importSecret, type Secret } from '../kernel/secret.js'
import { checkStore } from '../kernel/store-ports.js'
import { systemClock } from '../kernel/system-clock.js'
import type { FactorHooks } from './factor-handler.js'

/** What an authenticator says about itself, for `attested`. */
export interface Attestation {
  /** The format of the statement: `packed`, `apple`, `android-key`, ... Its signature is verified, who signed it is for you to trust. */
  readonly format: string
  readonly aaguid: string
  readonly deviceType: 'singleDevice' | 'multiDevice'
  readonly backedUp: boolean
  /** The whole attestation object (CBOR), for a metadata service or an app-attestation service. */
  readonly attestationObject: Uint8Array
  /** What else the client sent as `attestation`, such as a token of Play Integrity or App Attest; unverified. */
  readonly sent: unknown
}

export interface WebauthnOptions extends FactorHooks {
  /** Where passkeys are, and which challenges were used: `redis(client)`, `postgres(pool)` or `memory()`. Required. While it is away: 503 `store-unavailable`. */
  store: Store
  /** The secret that marks challenges, at least 32 bytes, the same in all processes. Required. To change it, give a list of up to 5, the new one first. */
  key: Secret | readonly Secret[]
  /** The domain that passkeys belong to: that of your pages, or one above it. Required. Never to be changed: passkeys do not move. */
  rpId: string
  /** Your name, as people see it. Required. */
  rpName: string
  /** The exact origins of pages that use them, such as `https://app.example.com`, and of apps (`android:apk-key-hash:...`). Required. */
  origins: readonly string[]
  /** How many passkeys a subject may have, 1 to 50. Default 10. One too many: 409 `enrolment-refused`. */
  maxPasskeys?: number
  /** How long a challenge is good, in milliseconds, 30,000 to 600,000. Default 300,000. */
  challengeMs?: number
  /**
   * Says whether an authenticator will do: ask a metadata or app-attestation service. With it, attestation is asked for; `false` refuses with 403
   * `invalid-proof`. Default: every authenticator that verifies its user will do, and none is asked to say what it is.
   */
  attested?: (attestation: Attestation, principal: Principal) => boolean | Promise<boolean>
  /** The clock. Default: the system's. */
  clock?: Clock
  /** How long the store may take to answer whoever calls without a request, in milliseconds. Default 5,000. Later: the call fails with `StoreUnavailable`. */
  storeTimeoutMs?: number
}

export interface WebauthnRules {
  readonly store: Store & { readonly records: RecordStore; readonly once: OnceStore }
  readonly keys: readonly KeyObject[]
  readonly rpId: string
  readonly rpName: string
  readonly origins: readonly string[]
  readonly maxPasskeys: number
  readonly challengeMs: number
  readonly attested: WebauthnOptions['attested']
  readonly clock: Clock
  readonly storeTimeoutMs: number
}

const KNOWN = [
  ...['store', 'key', 'rpId', 'rpName', 'origins', 'maxPasskeys', 'challengeMs', 'attested'],
  ...['account', 'verified', 'clock', 'storeTimeoutMs'],
]
const REQUIRED = ['store', 'key', 'rpId', 'rpName', 'origins', 'attested', 'verified']
const DOMAIN = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const ANDROID = /^android:apk-key-hash:[A-Za-z0-9_-]{43}$/

/** @throws ConfigError naming option, rule, value and fix */
export function prepareWebauthn(options: WebauthnOptions): WebauthnRules {
  knownKeys('webauthn', options, KNOWN, REQUIRED)
  const {
    rpId,
    rpName,
    origins,
    maxPasskeys = 10,
    challengeMs = 300_000,
    attested,
    account,
    verified,
  } = options
  const { clock = systemClock, storeTimeoutMs = 5_000 } = options
  if (typeof rpId !== 'string' || rpId.length > 253 || !DOMAIN.test(rpId) || /^[0-9.]+$/.test(rpId))
    throw new ConfigError(
      `webauthn.rpId must be a domain in lower case, such as 'example.com', without scheme and port, got ${show(rpId)}`,
    )
  if (typeof rpName !== 'string' || rpName === '')
    throw new ConfigError(`webauthn.rpName must be a text, such as 'Acme', got ${show(rpName)}`)
  for (const [option, hook] of Object.entries({ attested, account, verified }))
    if (hook !== undefined) func(`webauthn.${option}`, hook)
  return {
    store: checkStore('webauthn.store', options.store, 'records', 'once') as WebauthnRules['store'],
    keys: keysOf(options.key),
    rpId,
    rpName,
    origins: originsOf(origins, rpId),
    maxPasskeys: integer('webauthn.maxPasskeys', maxPasskeys, { max: 50 }),
    challengeMs: integer('webauthn.challengeMs', challengeMs, { min: 30_000, max: 600_000 }),
    attested,
    clock: checkClock('webauthn.clock', clock),
    storeTimeoutMs: integer('webauthn.storeTimeoutMs', storeTimeoutMs, { max: 60_000 }),
  }
}

function keysOf(key: unknown): KeyObject[] {
  const list: readonly unknown[] = Array.isArray(key) ? key : [key]
  if (list.length === 0 || list.length > 5)
    throw new ConfigError(`webauthn.key must be one secret or a list of 1 to 5, got ${show(key)}`)
  return list.map((one, i) => importSecret(Array.isArray(key) ? `webauthn.key[${i}]` : 'webauthn.key', one))
}

function originsOf(origins: unknown, rpId: string): string[] {
  if (!Array.isArray(origins) || origins.length === 0)
    throw new ConfigError(
      `webauthn.origins must list the origins of your pages, such as 'https://app.example.com', got ${show(origins)}`,
    )
  return origins.map((origin: unknown, i) => {
    if (typeof origin === 'string' && (ANDROID.test(origin) || isPageOf(origin, rpId))) return origin
    throw new ConfigError(
      `webauthn.origins[${i}] must be an https origin of webauthn.rpId or a domain below it, without a path, got ${show(origin)}`,
    )
  })
}

/** A browser would refuse any other page; `http://localhost` is for development. */
function isPageOf(origin: string, rpId: string): boolean {
  if (!URL.canParse(origin)) return false
  const { origin: exact, hostname, protocol } = new URL(origin)
  if (exact !== origin || !(hostname === rpId || hostname.endsWith(`.${rpId}`))) return false
  return protocol === 'https:' || (protocol === 'http:' && hostname === 'localhost')
}
