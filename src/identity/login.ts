import { randomUUID } from 'node:crypto'
import type { Authentication, Factor } from '../kernel/authentication.js'
import { knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { scopeName } from '../kernel/scope.js'
import { claimsText } from './claims-text.js'
import type { Claims } from './claims.js'
import type { Family } from './refresh-token.js'
import { factorName, MAX_FACTORS } from './session-request.js'

/** Somebody who has just shown who it is. */
export interface IssueOptions {
  /** Who it is: the `sub` of its tokens. Never one that was somebody else's before. Required. */
  subject: string
  /** What it may do (RFC 6749 section 3.3), as a text or a list. Default: none. */
  scope?: string | readonly string[]
  /** What else its access tokens say, such as `roles`; at most 4,096 bytes of JSON. Default: nothing. */
  claims?: Claims
  /**
   * How it showed who it is: `amr`, `acr`, and `at`, in seconds since 1970, which is `auth_time`. `factors` says when each method was used; their
   * names need not be in `amr` as well, and the first of them is `at` unless that is given. Default: now, by no method that has a name.
   */
  authentication?: Partial<Authentication>
  /** The client that it uses. Default: the `clientId` of `tokens`. */
  clientId?: string
  /** Whether it gets a refresh token. Default true. */
  refresh?: boolean
}

/** What is said in the access tokens of a login. */
export type Login = Pick<
  Family,
  'sid' | 'subject' | 'clientId' | 'scope' | 'claims' | 'authentication' | 'jkt'
>

/** Claims that say who issued what to whom, and until when. */
const OURS = [
  ...['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'sid', 'client_id', 'scope', 'cnf'],
  ...['auth_time', 'acr', 'amr', 'amr_times'],
]
const MAX_CLAIMS_BYTES = 4_096
const MAX_TEXT = 255

/** @throws ConfigError naming option, rule and value */
export function checkLogin(usualClient: string, options: IssueOptions, now: number): Login {
  const known = ['subject', 'scope', 'claims', 'authentication', 'clientId', 'refresh']
  knownKeys('issue', options, known, ['subject'])
  const { subject, claims = {}, authentication = {}, clientId = usualClient } = options
  const scope = scopeOf(options.scope)
  return {
    sid: randomUUID(),
    subject: text('issue.subject', subject),
    clientId: text('issue.clientId', clientId),
    ...(scope !== undefined && { scope }),
    claims: checkClaims('issue.claims', claims),
    authentication: checkAuthentication(authentication, now),
  }
}

/** A copy, as JSON has it. @throws ConfigError for names that are not the application's to give, and for too much */
export function checkClaims(option: string, claims: unknown): Claims {
  const json = claimsText(option, claims)
  const kept = JSON.parse(json) as Claims
  const ours = Object.keys(kept).find((name) => OURS.includes(name))
  if (ours !== undefined)
    throw new ConfigError(
      `${option}.${ours} is said by the issuer itself; leave it out, or see the options of issue`,
    )
  if (Buffer.byteLength(json) > MAX_CLAIMS_BYTES)
    throw new ConfigError(
      `${option} must be at most ${MAX_CLAIMS_BYTES} bytes of JSON, got ${Buffer.byteLength(json)}`,
    )
  return kept
}

function scopeOf(scope: IssueOptions['scope']): string | undefined {
  if (scope === undefined) return undefined
  const list = typeof scope === 'string' ? scope.split(' ').filter((one) => one !== '') : scope
  if (!Array.isArray(list))
    throw new ConfigError(`issue.scope must be a text or a list of scopes, got ${show(scope)}`)
  const names = [...new Set(list.map((one: unknown) => scopeName('issue.scope', one)))]
  return names.length === 0 ? undefined : names.join(' ')
}

function checkAuthentication(authentication: Partial<Authentication>, now: number): Authentication {
  const option = 'issue.authentication'
  knownKeys(option, authentication, ['at', 'acr', 'amr', 'factors'])
  const { at, acr, amr = [], factors: given = [] } = authentication
  if (!Array.isArray(amr)) throw new ConfigError(`${option}.amr must be a list of methods, got ${show(amr)}`)
  const factors = checkFactors(`${option}.factors`, given, now)
  const first = Math.min(...factors.map((factor) => factor.at), now / 1000)
  return {
    at: time(`${option}.at`, at === undefined ? first : at, now),
    ...(acr !== undefined && { acr: text(`${option}.acr`, acr) }),
    amr: [
      ...new Set([...amr.map((one) => text(`${option}.amr`, one)), ...factors.map(({ method }) => method)]),
    ],
    ...(factors.length > 0 && { factors }),
  }
}

/** A method that is named twice was used twice, and the last time counts. */
function checkFactors(option: string, given: unknown, now: number): Factor[] {
  if (!Array.isArray(given)) throw new ConfigError(`${option} must be a list, got ${show(given)}`)
  const last = new Map<string, number>()
  for (const factor of given as unknown[]) {
    knownKeys(option, factor, ['method', 'at'], ['method', 'at'])
    const { method, at } = factor as Factor
    const name = factorName(`${option}.method`, method)
    last.set(name, Math.max(last.get(name) ?? 0, time(`${option}.at`, at, now)))
  }
  if (last.size > MAX_FACTORS)
    throw new ConfigError(`${option} must be at most ${MAX_FACTORS} methods, got ${last.size}`)
  return Array.from(last, ([method, at]) => ({ method, at }))
}

function time(option: string, seconds: unknown, now: number): number {
  if (Number.isFinite(seconds) && (seconds as number) >= 0 && (seconds as number) <= now / 1000 + 60)
    return seconds as number
  throw new ConfigError(`${option} must be in seconds since 1970 and not to come, got ${show(seconds)}`)
}

function text(option: string, value: unknown): string {
  const fits = typeof value === 'string' && value.length >= 1 && value.length <= MAX_TEXT
  if (fits && /^[^\p{Cc}\p{Cs}]+$/u.test(value)) return value
  throw new ConfigError(
    `${option} must be 1 to ${MAX_TEXT} characters without control characters, got ${show(value)}`,
  )
}
