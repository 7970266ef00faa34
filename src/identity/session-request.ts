import { knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { claimsText } from './claims-text.js'
import { LOCAL_ISSUER, type SessionRecord } from './session-record.js'

/** Somebody who may have sessions. A text is a subject of this application's own. */
export type SessionSubject = string | { readonly issuer: string; readonly subject: string }

/** Who logged in, and how. */
export interface LoginOptions {
  /** Who it is: what the application calls its user, for ever, and never an address that may be another's tomorrow. Required. */
  subject: string
  /** Who vouches for the subject: the exact `iss` of an identity provider. Default: this application. */
  issuer?: string
  /** What access rules look at, such as `{ roles: ['clerk'] }`. Plain data, at most 8,192 characters as JSON. Default: nothing. */
  claims?: Readonly<Record<string, unknown>>
  /** The factors that were shown just now, by their names in RFC 8176: `['pwd']`. Default: none. At most 10. */
  factors?: readonly string[]
  /** When they were shown, in seconds since 1970, if an identity provider says so; 0 if nobody knows. Default: now. */
  authenticatedAt?: number
  /** The level that was reached, as an identity provider says. Default: none. */
  acr?: string
  /** What the identity provider calls its session, for logouts of its own. Default: none. */
  sid?: string
  /** Text to be kept for `attachment(req)`, sealed so that only the cookie opens it; at most 16,384 characters. Default: none. */
  attachment?: string
}

type Facts = Pick<SessionRecord, 'subject' | 'issuer' | 'claims' | 'factors' | 'authenticatedAt'> &
  Partial<Pick<SessionRecord, 'acr' | 'sid'>>

const KNOWN = ['subject', 'issuer', 'claims', 'factors', 'authenticatedAt', 'acr', 'sid', 'attachment']
const MAX_CLAIMS = 8_192
/** Longest attachment, in characters. */
export const MAX_ATTACHMENT = 16_384
const MAX_NAME = 255
export const MAX_FACTORS = 10

/** @throws ConfigError naming option, rule and value */
export function checkLogin(options: LoginOptions, now: number): Facts {
  knownKeys('login', options, KNOWN, ['subject', 'issuer', 'acr', 'sid'])
  const { claims = {}, factors = [], acr, sid, attachment } = options
  const { authenticatedAt = Math.floor(now / 1000) } = options
  if (!Number.isSafeInteger(authenticatedAt) || authenticatedAt < 0 || authenticatedAt > 100_000_000_000)
    throw new ConfigError(`login.authenticatedAt must be in seconds since 1970, got ${show(authenticatedAt)}`)
  if (attachment !== undefined) text('login.attachment', attachment, MAX_ATTACHMENT)
  if (!Array.isArray(factors) || factors.length > MAX_FACTORS)
    throw new ConfigError(`login.factors must list at most ${MAX_FACTORS} names, got ${show(factors)}`)
  return {
    ...checkSubject('login', options),
    claims: checkClaims('login.claims', claims),
    factors: factors.map((method: unknown) => ({
      method: factorName('login.factors', method),
      at: authenticatedAt,
    })),
    authenticatedAt: authenticatedAt * 1000,
    ...(acr !== undefined && { acr: text('login.acr', acr, 200) }),
    ...(sid !== undefined && { sid: text('login.sid', sid, MAX_NAME) }),
  }
}

/** @throws ConfigError */
export function checkSubject(
  option: string,
  given: SessionSubject | Pick<LoginOptions, 'issuer' | 'subject'>,
): { issuer: string; subject: string } {
  const { issuer = LOCAL_ISSUER, subject } = typeof given === 'object' ? given : { subject: given }
  if (/\s/.test(text(`${option}.issuer`, issuer, 500)))
    throw new ConfigError(`${option}.issuer must have no space: it is the exact iss of an identity provider`)
  return { issuer, subject: text(`${option}.subject`, subject, MAX_NAME) }
}

/** @throws ConfigError */
export function checkClaims(option: string, claims: unknown): Readonly<Record<string, unknown>> {
  const json = claimsText(option, claims)
  if (json.length > MAX_CLAIMS)
    throw new ConfigError(`${option} must have at most ${MAX_CLAIMS} characters as JSON, got ${json.length}`)
  return JSON.parse(json) as Record<string, unknown>
}

/** @throws ConfigError */
export function factorName(option: string, method: unknown): string {
  if (isFactorName(method)) return method
  throw new ConfigError(
    `${option} must be names such as 'pwd' or 'otp' (RFC 8176), 1 to 64 letters, digits, dots, hyphens, colons and underscores, got ${show(method)}`,
  )
}

export function isFactorName(method: unknown): method is string {
  return typeof method === 'string' && /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/.test(method)
}

/** Whether a subject, or a session of an identity provider, may be called so. */
export function isName(value: unknown, max = MAX_NAME): value is string {
  return typeof value === 'string' && value.length <= max && /^[^\p{Cc}\p{Cs}]+$/u.test(value)
}

function text(option: string, value: unknown, max: number): string {
  if (isName(value, max)) return value
  throw new ConfigError(
    `${option} must be 1 to ${max} characters without control characters, got ${show(value)}`,
  )
}
