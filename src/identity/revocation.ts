import { checkClock } from '../kernel/check-clock.js'
import { integer, knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { consoleLog } from '../kernel/console-log.js'
import { guardedRecords } from '../kernel/guarded.js'
import { getMany } from '../kernel/many-records.js'
import type { Clock, Later, RecordStore, Store } from '../kernel/ports.js'
import type { Services } from '../kernel/services.js'
import { checkStore } from '../kernel/store-ports.js'
import { StoreUnavailable } from '../kernel/store-unavailable.js'
import { systemClock } from '../kernel/system-clock.js'
import { when } from '../lib/when.js'

export interface RevocationsOptions {
  /** Where revocations are kept, for all processes: `redis(client)`, `postgres(pool)` or `memory()`. Required. While it is away: 503 `store-unavailable`. */
  store: Store
  /**
   * How long a revocation is kept that has no end of its own, in seconds. Default 7,776,000, 90 days. Nothing that is revoked may be good
   * for longer: no token, refresh token or session.
   */
  keepSeconds?: number
  /** The clock. Default: the system's. */
  clock?: Clock
  /** How long the store may take to keep a revocation, in milliseconds. Default 5,000. Later: the call fails with `StoreUnavailable`. */
  storeTimeoutMs?: number
}

/** What can be revoked about a credential. Times are in seconds since 1970. */
export interface Revocable {
  /** Who vouches for the rest, without a space: the exact `iss` of a token. */
  readonly issuer: string
  readonly subject: string
  readonly jti: string | undefined
  readonly sid: string | undefined
  readonly issuedAt: number
}

/** Why a credential is not good any more: itself, its session, or everything of its subject up to a moment. */
export type Revoked = 'token-revoked' | 'session-revoked' | 'subject-revoked'

/** Tells whether a credential was revoked. */
export interface Revocation {
  /** `undefined` or `false` while it is good; `true` if the token itself was revoked. A `StoreUnavailable` is answered 503. */
  check(credential: Revocable, services: Services): Later<Revoked | boolean | undefined>
}

/** What ends credentials before their time. Every promise resolves once it holds in all processes. */
export interface Revocations extends Revocation {
  /** How long a revocation without an end is kept, in seconds. */
  readonly keepSeconds: number
  /** Without `services`, as outside a request, the store has `storeTimeoutMs` to answer. */
  check(credential: Revocable, services?: Services): Later<Revoked | undefined>
  /**
   * Ends one token.
   *
   * @param expiresAt its `exp`, in seconds since 1970: until then this is kept, and an hour longer
   * @throws ConfigError for a name that no token can have, and for a moment in milliseconds
   */
  revokeToken(issuer: string, jti: string, expiresAt: number): Promise<void>
  /**
   * Ends a session, and all tokens with its `sid`.
   *
   * @param expiresAt when the last of them ends, in seconds since 1970. Default: `keepSeconds` from now
   * @throws ConfigError as `revokeToken`
   */
  revokeSession(issuer: string, sid: string, expiresAt?: number): Promise<void>
  /**
   * Ends everything that was issued to a subject up to now: logs it out everywhere. What is issued later is good. Where times are whole
   * seconds, as in tokens, what is issued within this second is over too.
   *
   * @param issuedUntil another moment than now, in seconds since 1970; an earlier one than before changes nothing
   * @throws ConfigError as `revokeToken`; StoreUnavailable also where others write to the subject all the time
   */
  revokeSubject(issuer: string, subject: string, issuedUntil?: number): Promise<void>
  /** The moment up to which everything of a subject is over, in seconds since 1970, for whoever issues something that shall be good. */
  revokedUntil(issuer: string, subject: string): Promise<number | undefined>
}

const SPACE = 'revocation'
/** Clocks differ, and tokens are accepted a little past their end. */
const MARGIN_SECONDS = 3_600
/** Others write to one subject too, but not for long. */
const ATTEMPTS = 20

/**
 * A list of what was revoked, which `bearer({ revocation })` and all that log users out share: give every process the same store.
 *
 * @example
 * const revocation = revocations({ store: redis(client) })
 * const api = secureApi({ auth: [bearer({ issuer, audience, revocation })] })
 * await revocation.revokeSubject(issuer, 'user-1')
 * @throws ConfigError for a store without records, and every option that breaks its rule
 */
export function revocations(options: RevocationsOptions): Revocations {
  knownKeys('revocations', options, ['store', 'keepSeconds', 'clock', 'storeTimeoutMs'], ['store'])
  const { keepSeconds = 7_776_000, storeTimeoutMs = 5_000 } = options
  const clock = checkClock('revocations.clock', options.clock === undefined ? systemClock : options.clock)
  integer('revocations.keepSeconds', keepSeconds, { min: 60, max: 3_155_760_000 })
  const timeoutMs = integer('revocations.storeTimeoutMs', storeTimeoutMs, { max: 60_000 })
  const store = checkStore('revocations.store', options.store, 'records') as Store & { records: RecordStore }
  const records = guardedRecords(store.records, { clock, log: consoleLog, timeoutMs })
  const now = () => clock.now() / 1000
  const ttlMs = (expiresAt: number) => Math.max(Math.ceil((expiresAt - now() + MARGIN_SECONDS) * 1000), 1)

  return {
    keepSeconds,

    async revokeToken(issuer, jti, expiresAt) {
      await records.put(SPACE, tokenKey(issuer, jti), '1', ttlMs(moment('expiresAt', expiresAt)))
    },

    async revokeSession(issuer, sid, expiresAt = now() + keepSeconds) {
      await records.put(SPACE, sessionKey(issuer, sid), '1', ttlMs(moment('expiresAt', expiresAt)))
    },

    async revokeSubject(issuer, subject, issuedUntil) {
      const key = subjectKey(issuer, subject)
      const named = issuedUntil === undefined ? undefined : moment('issuedUntil', issuedUntil)
      let until: number | undefined
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const text = await records.get(SPACE, key)
        const before = text === undefined ? undefined : readMoment(text)
        // What was issued since the last time may be dated right behind that, which can be later than now.
        until ??= named ?? Math.max(now(), before === undefined ? 0 : momentAfter(before))
        if (before !== undefined && before >= until) return
        if (await records.replace(SPACE, key, text, String(until), ttlMs(until + keepSeconds))) return
      }
      throw new StoreUnavailable('The subject was revoked by others all the time', 0, 1_000)
    },

    async revokedUntil(issuer, subject) {
      const text = await records.get(SPACE, subjectKey(issuer, subject))
      if (text === undefined) return undefined
      return readMoment(text) ?? unreadable()
    },

    check({ issuer, subject, jti, sid, issuedAt }, services) {
      const keys = [subjectKey(issuer, subject)]
      if (jti !== undefined) keys.push(tokenKey(issuer, jti))
      if (sid !== undefined) keys.push(sessionKey(issuer, sid))
      return when(
        getMany(services?.portsOf(store).records ?? records, SPACE, keys),
        ([until, first, second]) => {
          if (first !== undefined) return jti === undefined ? 'session-revoked' : 'token-revoked'
          if (second !== undefined) return 'session-revoked'
          if (until === undefined) return undefined
          const moment = readMoment(until)
          if (moment === undefined) return unreadable()
          return issuedAt <= moment ? 'subject-revoked' : undefined
        },
      )
    },
  }
}

/** @throws ConfigError for what cannot be asked */
export function checkRevocation(
  option: string,
  given: Partial<Revocation> | null | undefined,
): Revocation | undefined {
  if (given === undefined) return undefined
  if (typeof given?.check === 'function') return given as Revocation
  throw new ConfigError(
    `${option} must be made by revocations({ store }) or have its check, got ${show(given)}`,
  )
}

const REASONS: readonly unknown[] = [
  'token-revoked',
  'session-revoked',
  'subject-revoked',
] satisfies Revoked[]

/**
 * What a `check`, which may be somebody's own, has said: why a credential is over, or nothing.
 *
 * @throws TypeError for anything else: a list that says neither yes nor no must let nobody in
 */
export function readAnswer(said: unknown): Revoked | undefined {
  if (said === undefined || said === false) return undefined
  const revoked = said === true ? 'token-revoked' : said
  if (REASONS.includes(revoked)) return revoked as Revoked
  throw new TypeError('revocation.check gave no answer')
}

/** An issuer contains no space, so the first one behind it ends it. */
function tokenKey(issuer: string, jti: string): string {
  return `token ${name('issuer', issuer)} ${name('jti', jti)}`
}

function sessionKey(issuer: string, sid: string): string {
  return `session ${name('issuer', issuer)} ${name('sid', sid)}`
}

function subjectKey(issuer: string, subject: string): string {
  return `subject ${name('issuer', issuer)} ${name('subject', subject)}`
}

/** @throws ConfigError for what would be kept under the name of something else, or nothing */
function name(what: string, value: unknown): string {
  if (typeof value === 'string' && value !== '' && !(what === 'issuer' && value.includes(' '))) return value
  throw new ConfigError(
    `revocations: ${what} must be a text${what === 'issuer' ? ' without a space' : ''}, got ${show(value)}`,
  )
}

/** @throws ConfigError for what is no moment, or one in milliseconds */
function moment(what: string, value: unknown): number {
  if (typeof value === 'number' && value >= 0 && value < 100_000_000_000) return value
  throw new ConfigError(`revocations: ${what} must be in seconds since 1970, got ${show(value)}`)
}

/** The next moment that can be told from this one; both in seconds, and told apart in milliseconds. */
export function momentAfter(seconds: number): number {
  return (Math.round(seconds * 1000) + 1) / 1000
}

/** `undefined` for what this package did not write. */
function readMoment(text: string): number | undefined {
  const seconds = text === '' ? NaN : Number(text)
  return Number.isFinite(seconds) ? seconds : undefined
}

/** Neither good nor bad: nobody can tell. */
function unreadable(): Promise<never> {
  return Promise.reject(new StoreUnavailable('The moment of a revocation cannot be read', 0, 1_000))
}
