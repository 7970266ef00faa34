import { refuse, type Problem } from '../kernel/problem.js'
import { retryAfter } from '../lib/retry-after.js'

/**
 * Why a proof is refused, or the making of a factor: the rule in the audit log, and its reason. Clients are told the
 * title of the problem alone, so that a guess teaches nothing.
 */
const reasons = {
  'totp-unknown': 'The subject has no authenticator app',
  'totp-code': 'The code is not right',
  'totp-replayed': 'The code was used before',
  'recovery-code': 'The subject has no such recovery code, or has used it',
  'passkey-malformed': 'No credential was sent',
  'passkey-challenge': 'The challenge is none of ours, is over, or was given to others or for something else',
  'passkey-unknown': 'The subject has no such passkey',
  'passkey-invalid': 'The answer of the authenticator is not what it must be',
  'passkey-attestation': 'The authenticator is none that will do, or says about itself what nobody asked for',
  'passkey-replayed': 'The answer was shown before',
  'passkey-counter': 'The counter did not go up: the passkey was copied',
} as const

export type FactorFault = keyof typeof reasons

/** 403: who is asked is known already, so nothing invites them to come in another way. */
export function invalidProof(fault: FactorFault): Problem {
  return refuse('invalid-proof', { rule: fault, reason: reasons[fault] })
}

/** 409: as things stand, no factor can be made. */
export function notNow(rule: string, detail: string): Problem {
  return refuse('enrolment-refused', { rule, detail, reason: detail })
}

/** 429: somebody guesses. */
export function tooManyAttempts(waitMs: number): Problem {
  return refuse('too-many-attempts', {
    rule: 'attempts',
    reason: 'Too many attempts failed',
    headers: { 'Retry-After': retryAfter(waitMs) },
  })
}
