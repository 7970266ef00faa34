import { randomUUID } from 'node:crypto'
import type { Authentication } from '../kernel/authentication.js'
import { knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { scopeName } from '../kernel/scope.js'
import { claimsText } from './claims-text.js'
import type { Claims } from './claims.js'
import type { Family } from './refresh-token.js'

/** Somebody who has just shown who it is. */
export interface IssueOptions {
  /** Who it is: the `sub` of its tokens. Never one that was somebody else's before. Required. */
  subject: string
  /** What it may do (RFC 6749 section 3.3), as a text or a list. Default: none. */
  scope?: string | readonly string[]
  /** What else its access tokens say, such as `roles`; at most 4,096 bytes of JSON. Default: nothing. */
  claims?: Claims
  /** How it showed who it is: `amr`, `acr`, and `at`, in seconds since 1970, which is `auth_time`. Default: now, by no method that has a name. */
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
  ...['auth_time', 'acr', 'amr'],
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
  knownKeys('issue.authentication', authentication, ['at', 'acr', 'amr', 'factors'])
  const { at: seconds = now / 1000, acr, amr = [] } = authentication
  if (!Number.isFinite(seconds) || seconds < 0 || seconds > now / 1000 + 60)
    throw new ConfigError(
      `issue.authentication.at must be in seconds since 1970 and not to come, got ${show(seconds)}`,
    )
  if (!Array.isArray(amr))
    throw new ConfigError(`issue.authentication.amr must be a list of methods, got ${show(amr)}`)
  return {
    at: seconds,
    ...(acr !== undefined && { acr: text('issue.authentication.acr', acr) }),
    amr: amr.map((one) => text('issue.authentication.amr', one)),
  }
}

function text(option: string, value: unknown): string {
  const fits = typeof value === 'string' && value.length >= 1 && value.length <= MAX_TEXT
  if (fits && /^[^\p{Cc}\p{Cs}]+$/u.test(value)) return value
  throw new ConfigError(
    `${option} must be 1 to ${MAX_TEXT} characters without control characters, got ${show(value)}`,
  )
}
