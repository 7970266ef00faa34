import { randomBytes } from 'node:crypto'
import { loadPeer } from '../kernel/peer.js'
import { isProblem, type Problem } from '../kernel/problem.js'
import { StoreUnavailable } from '../kernel/store-unavailable.js'
import { Attempts, type Attempt } from './attempts.js'
import type { FactorProof, Outside } from './factor-handler.js'
import { invalidProof, notNow, tooManyAttempts } from './factor-refusals.js'
import { bareCode, newRecoveryCodes } from './recovery-codes.js'
import type { TotpRules } from './totp-options.js'

/** A secret for an authenticator app. It is nowhere else to be had, and opens nothing before it is confirmed. */
export interface TotpEnrolment {
  /** `otpauth://totp/...`: make a QR picture of it on the client. */
  readonly uri: string
  /** The same secret in base 32, to be typed. */
  readonly secret: string
  /** How long it waits to be confirmed, in seconds. */
  readonly expiresIn: number
}

export interface TotpConfirmation {
  readonly proof: FactorProof
  /** For the subject, once: the store has their hashes. */
  readonly recoveryCodes: readonly string[]
}

export interface TotpStatus {
  readonly active: boolean
  /** When it was confirmed, in seconds since 1970. */
  readonly since?: number
  readonly recoveryCodesLeft: number
}

/** As it is stored, sealed and hashed. */
interface TotpRecord {
  readonly v: 1
  readonly secret: string
  /** In milliseconds since 1970. */
  readonly confirmedAt: number
  /** Hashes of the recovery codes that are left. */
  readonly recovery: readonly string[]
}

/** A good code, and the attempt that it was: one that is no good for the subject after all stays a failure. */
interface Shown {
  readonly proof: FactorProof
  readonly attempt: Attempt
}

const ACTIVE = 'totp'
const PENDING = 'totp-pending'
const USED = 'totp-used'
const SECRET_BYTES = { SHA1: 20, SHA256: 32, SHA512: 64 } as const
/** Others write about one subject too, but not for long. */
const TRIES = 20

/** A guess of six digits hits once in 333,333 with the usual window; a hundred a day are taken from all the world together. */
const attempts = new Attempts({
  space: 'totp',
  each: { free: 5, firstMs: 1_000, mostMs: 900_000 },
  all: { free: 20, firstMs: 60_000, mostMs: 900_000 },
  forgetMs: 86_400_000,
})

/** What happens to the apps of subjects, wherever it is asked from. */
export class TotpDesk {
  private readonly otpauth = loadPeer('otpauth', 'totp()') as typeof import('otpauth')

  /** @throws ConfigError where the package is missing */
  constructor(readonly rules: TotpRules) {}

  async enrol({ records }: Outside, subject: string, account: string): Promise<TotpEnrolment | Problem> {
    if ((await records.get(ACTIVE, subject)) !== undefined) return active()
    const { issuer, algorithm, digits, period, vault, pendingMs } = this.rules
    const bytes = randomBytes(SECRET_BYTES[algorithm])
    await records.put(PENDING, subject, vault.seal(subject, bytes), pendingMs)
    const secret = this.secretOf(bytes)
    const uri = new this.otpauth.TOTP({
      ...{ issuer, algorithm, digits, period, secret },
      label: account.replaceAll(':', ' '),
    }).toString()
    return { uri, secret: secret.base32, expiresIn: Math.floor(pendingMs / 1000) }
  }

  async confirm(
    outside: Outside,
    subject: string,
    code: unknown,
    client: string,
  ): Promise<TotpConfirmation | Problem> {
    const { records, now } = outside
    const sealed = await records.get(PENDING, subject)
    if (sealed === undefined) return notNow('totp-not-pending', 'No enrolment waits for a code; begin anew')
    if ((await records.get(ACTIVE, subject)) !== undefined) return active()
    const shown = await this.judge(outside, subject, client, sealed, code)
    if (isProblem(shown)) return shown
    const { codes, hashes } = this.newCodes(subject)
    const record: TotpRecord = { v: 1, secret: sealed, confirmedAt: now(), recovery: hashes }
    // A code of a secret that is not the subject's, because another one was faster, forgets no failure.
    if (!(await records.replace(ACTIVE, subject, undefined, JSON.stringify(record)))) return active()
    await shown.attempt.succeeded()
    await records.delete(PENDING, subject)
    return { proof: shown.proof, recoveryCodes: codes }
  }

  async verify(
    outside: Outside,
    subject: string,
    code: unknown,
    client: string,
  ): Promise<FactorProof | Problem> {
    const text = await outside.records.get(ACTIVE, subject)
    if (text === undefined) return invalidProof('totp-unknown')
    const shown = await this.judge(outside, subject, client, read(text).secret, code)
    if (isProblem(shown)) return shown
    await shown.attempt.succeeded()
    return shown.proof
  }

  /** Nobody guesses 120 bits, so that recovery is there also for who has to wait elsewhere. */
  async recover({ records, now }: Outside, subject: string, code: unknown): Promise<FactorProof | Problem> {
    const bare = typeof code === 'string' ? bareCode(code) : undefined
    if (bare === undefined) return invalidProof('recovery-code')
    for (let i = 0; i < TRIES; i++) {
      const text = await records.get(ACTIVE, subject)
      if (text === undefined) return invalidProof('recovery-code')
      const record = read(text)
      const found = this.rules.vault.find(subject, bare, record.recovery)
      if (found === -1) return invalidProof('recovery-code')
      const recovery = record.recovery.filter((_hash, at) => at !== found)
      // Of those who show one code at once, one succeeds (ASVS 6.5.1).
      if (await records.replace(ACTIVE, subject, text, JSON.stringify({ ...record, recovery })))
        return proofOf(subject, 'recovery', now())
    }
    throw busy()
  }

  async renew({ records }: Outside, subject: string): Promise<readonly string[] | undefined> {
    const { codes, hashes } = this.newCodes(subject)
    for (let i = 0; i < TRIES; i++) {
      const text = await records.get(ACTIVE, subject)
      if (text === undefined) return undefined
      const next = JSON.stringify({ ...read(text), recovery: hashes })
      if (await records.replace(ACTIVE, subject, text, next)) return codes
    }
    throw busy()
  }

  async remove({ records }: Outside, subject: string): Promise<boolean> {
    await records.delete(PENDING, subject)
    return records.delete(ACTIVE, subject)
  }

  async status({ records }: Outside, subject: string): Promise<TotpStatus> {
    const text = await records.get(ACTIVE, subject)
    if (text === undefined) return { active: false, recoveryCodesLeft: 0 }
    const { confirmedAt, recovery } = read(text)
    return { active: true, since: Math.floor(confirmedAt / 1000), recoveryCodesLeft: recovery.length }
  }

  /** Judges a code, once: what was good is used up in all processes (RFC 6238 section 5.2, ASVS 6.5.1). */
  private async judge(
    { records, once, now }: Outside,
    subject: string,
    client: string,
    sealed: string,
    given: unknown,
  ): Promise<Shown | Problem> {
    const { vault, digits, period, algorithm, window } = this.rules
    const token = typeof given === 'string' && given.length <= 32 ? given.replaceAll(' ', '') : ''
    const moment = now()
    const attempt = await attempts.take(records, subject, client, moment)
    if (attempt.waitMs > 0) return tooManyAttempts(attempt.waitMs)

    const secret = this.secretOf(vault.open(subject, sealed))
    const delta = /^[0-9]+$/.test(token)
      ? new this.otpauth.TOTP({ secret, algorithm, digits, period }).validate({
          token,
          timestamp: moment,
          window,
        })
      : null
    if (delta === null) return invalidProof('totp-code')
    const step = Math.floor(moment / 1000 / period) + delta
    // By what all processes read the same, also while the key is being changed.
    const key = JSON.stringify([subject, step, sealed])
    if (!(await once.claim(USED, key, (2 * window + 2) * period * 1_000)))
      return invalidProof('totp-replayed')
    return { proof: proofOf(subject, 'otp', moment), attempt }
  }

  private newCodes(subject: string): {
    readonly codes: readonly string[]
    readonly hashes: readonly string[]
  } {
    const codes = newRecoveryCodes(this.rules.recoveryCodes)
    return { codes, hashes: codes.map((code) => this.rules.vault.hash(subject, bareCode(code)!)) }
  }

  private secretOf(bytes: Buffer): InstanceType<typeof import('otpauth').Secret> {
    return new this.otpauth.Secret({ buffer: new Uint8Array(bytes).buffer })
  }
}

function proofOf(subject: string, method: string, nowMs: number): FactorProof {
  return { subject, factor: { method, at: Math.floor(nowMs / 1000) }, amr: [method] }
}

/** @throws TypeError for what this package did not write */
function read(text: string): TotpRecord {
  const record = JSON.parse(text) as Partial<TotpRecord> | null
  if (record?.v === 1 && typeof record.secret === 'string' && Array.isArray(record.recovery))
    return record as TotpRecord
  throw new TypeError('The store has something else than an authenticator app under the name of a subject')
}

function active(): Problem {
  return notNow('totp-active', 'There is an authenticator app already; remove it first')
}

function busy(): StoreUnavailable {
  return new StoreUnavailable('The factors of the subject were changed by others all the time', 0, 1_000)
}
