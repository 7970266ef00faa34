import { refuse, type Problem } from '../kernel/problem.js'

/** Why a login is not completed: the rule in the audit log, and its reason. To the browser they are all one. */
const faults = {
  'sso-state': 'No such login is under way: it was completed, took too long, or never was',
  'sso-browser': 'Another browser began this login',
  'sso-issuer': 'The answer is from another issuer than the one that was asked (RFC 9207)',
  'sso-denied': 'The identity provider refused the login',
  'sso-code': 'The identity provider does not take the code',
  'sso-token': 'The answer or the ID token is not what it must be',
  'sso-ended': 'The identity provider logged the user out while the login came back',
  'sso-user': 'The application does not take this user',
} as const

export type LoginFault = keyof typeof faults

export function loginRefused(fault: LoginFault, cause?: unknown): Problem {
  return refuse('login-refused', {
    detail: 'The login was not completed; begin it again',
    rule: fault,
    reason: faults[fault],
    ...(cause !== undefined && { cause }),
  })
}

/** 503: a login cannot go on, and nobody is to blame but the provider, or the settings that go with it. */
export function providerAway(cause: unknown): Problem {
  return refuse('identity-provider-unavailable', {
    rule: 'provider-unavailable',
    reason: 'The identity provider could not be asked, or its answer is none',
    headers: { 'Retry-After': '1' },
    cause,
  })
}

/** Why a logout token is none (OpenID Connect Back-Channel Logout 1.0 section 2.6). */
const tokenFaults = {
  'logout-token-missing': 'There is no logout_token in the form',
  'logout-token-malformed': 'It is no token, or has a header that is not accepted',
  'logout-token-type': 'It is of another type than logout token',
  'logout-token-issuer': 'It is from another issuer',
  'logout-token-audience': 'It is for another client',
  'logout-token-time': 'It is too old, or from the future',
  'logout-token-claims': 'It lacks a claim, or has one that it must not have',
  'logout-token-signature': 'It is not signed by the issuer',
  'logout-token-replayed': 'It was used before',
} as const

export type LogoutFault = keyof typeof tokenFaults

export function logoutRefused(fault: LogoutFault): Problem {
  return refuse('invalid-logout-token', { rule: fault, reason: tokenFaults[fault] })
}
