import { refuse, type Problem } from '../kernel/problem.js'
import { challenge } from '../lib/challenge.js'
import { unauthenticated } from './auth-refusals.js'
import { realmText } from './realm.js'

/** Why nobody can say whether a password is right: the rule in the audit log of a 503, and its reason. */
const unknown = {
  'users-unavailable': 'The users could not be looked up',
  'user-unusable': 'The user has no hash of an accepted kind and cost, or is none in another way',
  'hashing-crowded': 'Too many passwords wait to be hashed already',
} as const

/** Every way in which a password is refused, written once at start. */
export interface BasicRefusals {
  readonly offered: string
  readonly nothing: () => Problem
  readonly twice: () => Problem
  readonly malformed: () => Problem
  readonly plain: () => Problem
  readonly wrong: () => Problem
  readonly because: (why: keyof typeof unknown, cause?: unknown) => Problem
}

/** @throws ConfigError for a realm that cannot be quoted */
export function basicRefusals(realm: unknown): BasicRefusals {
  // RFC 7617 section 2.1.
  const offered = challenge('Basic', { realm: realmText('basic.realm', realm), charset: 'UTF-8' })
  const headers = { 'WWW-Authenticate': offered }
  return {
    offered,
    nothing: () => unauthenticated(offered),
    twice: () =>
      refuse('invalid-request', {
        detail: 'More than one Authorization header was sent',
        rule: 'authorization-twice',
        headers,
      }),
    malformed: () =>
      refuse('invalid-request', {
        detail: 'The Authorization header is malformed',
        rule: 'basic-malformed',
        headers,
      }),
    // No challenge: it would ask for the password once more, over the same wire.
    plain: () => refuse('tls-required', { rule: 'basic-plain-http', reason: 'The client did not speak TLS' }),
    // One answer for a name that nobody has and for a password that is wrong (ASVS 6.3.8).
    wrong: () =>
      refuse('invalid-credentials', {
        rule: 'basic-wrong',
        reason: 'There is no such user, or the password is wrong',
        headers,
      }),
    because: (why, cause) =>
      refuse('identity-provider-unavailable', {
        rule: why,
        reason: unknown[why],
        headers: { 'Retry-After': '1' },
        ...(cause !== undefined && { cause }),
      }),
  }
}
