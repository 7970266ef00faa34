import { refuse, type Problem } from '../kernel/problem.js'
import { challenge } from '../lib/challenge.js'
import { because, unauthenticated } from './auth-refusals.js'
import { realmText } from './realm.js'

/** Why a session is refused: the rule in the audit log, and its reason. To the client they are all one. */
const faults = {
  'session-malformed': 'The cookie has no id of a session',
  'session-unknown': 'There is no such session: it ended, was left alone for too long, or never was',
  'session-idle': 'The session was left alone for too long',
  'session-expired': 'The session has lasted as long as it may',
  'session-revoked': 'The session was revoked',
} as const

export type SessionFault = keyof typeof faults

/** Every way in which a session is refused, written once at start. */
export interface SessionRefusals {
  /** The challenge without an error. */
  readonly offered: string
  readonly nothing: () => Problem
  readonly twice: () => Problem
  readonly because: (fault: SessionFault) => Problem
  readonly full: () => Problem
}

/** @throws ConfigError for a realm that cannot be quoted */
export function sessionRefusals(cookie: string, realm: unknown): SessionRefusals {
  const offered = challenge('Cookie', { realm: realmText('session.realm', realm), 'cookie-name': cookie })
  const invalid = because(offered, 'invalid_session', 'The session is over, or there never was one; log in')
  const twice = because(offered, 'invalid_request', 'More than one session cookie was sent')

  return {
    offered,
    nothing: () => unauthenticated(offered),
    twice: () => refuse('invalid-request', { ...twice, rule: 'session-twice' }),
    because: (fault) => refuse('invalid-session', { ...invalid, rule: fault, reason: faults[fault] }),
    full: () =>
      refuse('too-many-sessions', {
        detail: 'End one of the other sessions, and try again',
        rule: 'session-bound',
        reason: 'The subject has as many sessions as it may',
      }),
  }
}
