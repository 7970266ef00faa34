import { func, integer, knownKeys, oneOf, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { checkClock } from '../kernel/check-clock.js'
import type { Clock, OnceStore, RecordStore, Store } from '../kernel/ports.js'
import { checkStore } from '../kernel/store-ports.js'
import { systemClock } from '../kernel/system-clock.js'
import type { FactorHooks } from './factor-handler.js'
import type { Secret } from '../kernel/secret.js'
import { Vault } from './vault.js'

export interface TotpOptions extends FactorHooks {
  /** Where secrets are, and which codes were used: `redis(client)`, `postgres(pool)` or `memory()`. Required. While it is away: 503 `store-unavailable`. */
  store: Store
  /**
   * The secret that seals the secrets of all subjects (AES-256-GCM), at least 32 bytes; keep it apart from the store. Required. To change it,
   * give a list of up to 5, the new one first.
   */
  key: Secret | readonly Secret[]
  /** Who you are, as authenticator apps show it: text without a colon. Required. */
  issuer: string
  /** The hash of the codes. Many apps know no other than the default, `'SHA1'`, which is sound in HMAC. */
  algorithm?: 'SHA1' | 'SHA256' | 'SHA512'
  /** How long codes are, 6 to 8. Default 6. */
  digits?: number
  /** How long a code is the current one, in seconds, 15 to 120. Default 30. */
  periodSeconds?: number
  /** How many codes before and behind the current one are taken, for clocks that differ, 0 to 3. Default 1. */
  window?: number
  /** How many recovery codes a subject gets, 0 to 20. Default 10. */
  recoveryCodes?: number
  /** How long an enrolment waits for its first code, in milliseconds. Default 600,000. Later: 409 `enrolment-refused`. */
  pendingMs?: number
  /** The clock. Default: the system's. */
  clock?: Clock
  /** How long the store may take to answer whoever calls without a request, in milliseconds. Default 5,000. Later: the call fails with `StoreUnavailable`. */
  storeTimeoutMs?: number
}

export interface TotpRules {
  readonly store: Store & { readonly records: RecordStore; readonly once: OnceStore }
  readonly vault: Vault
  readonly issuer: string
  readonly algorithm: 'SHA1' | 'SHA256' | 'SHA512'
  readonly digits: number
  readonly period: number
  readonly window: number
  readonly recoveryCodes: number
  readonly pendingMs: number
  readonly clock: Clock
  readonly storeTimeoutMs: number
}

const KNOWN = [
  'store',
  'key',
  'issuer',
  'algorithm',
  'digits',
  'periodSeconds',
  'window',
  'recoveryCodes',
  'pendingMs',
  'account',
  'verified',
  'clock',
  'storeTimeoutMs',
]

/** @throws ConfigError naming option, rule, value and fix */
export function prepareTotp(options: TotpOptions): TotpRules {
  knownKeys('totp', options, KNOWN, ['store', 'key', 'issuer', 'verified'])
  const { issuer, algorithm = 'SHA1', digits = 6, periodSeconds = 30, window = 1 } = options
  const { recoveryCodes = 10, pendingMs = 600_000, storeTimeoutMs = 5_000, account, verified } = options
  const { clock = systemClock } = options
  // Key URI format: a colon separates issuer and account.
  if (typeof issuer !== 'string' || issuer === '' || issuer.includes(':'))
    throw new ConfigError(`totp.issuer must be a text without a colon, such as 'Acme', got ${show(issuer)}`)
  if (account !== undefined) func('totp.account', account)
  if (verified !== undefined) func('totp.verified', verified)
  return {
    store: checkStore('totp.store', options.store, 'records', 'once') as TotpRules['store'],
    vault: new Vault('totp.key', 'totp', options.key),
    issuer,
    algorithm: oneOf('totp.algorithm', algorithm, ['SHA1', 'SHA256', 'SHA512']),
    digits: integer('totp.digits', digits, { min: 6, max: 8 }),
    period: integer('totp.periodSeconds', periodSeconds, { min: 15, max: 120 }),
    window: integer('totp.window', window, { min: 0, max: 3 }),
    recoveryCodes: integer('totp.recoveryCodes', recoveryCodes, { min: 0, max: 20 }),
    pendingMs: integer('totp.pendingMs', pendingMs, { min: 10_000, max: 86_400_000 }),
    clock: checkClock('totp.clock', clock),
    storeTimeoutMs: integer('totp.storeTimeoutMs', storeTimeoutMs, { max: 60_000 }),
  }
}
