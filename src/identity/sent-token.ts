import type { IncomingMessage } from 'node:http'
import type { Problem } from '../kernel/problem.js'
import { authorizationCount, credentialsFor } from './authorization.js'
import type { DpopMode } from './dpop-options.js'
import type { TokenRefusals } from './token-refusals.js'

/** What methods that read access tokens call what they read. */
export const BEARER = 'bearer-token'

/** How an access token is sent: RFC 6750 section 2.1, RFC 9449 section 7.1. */
export type Scheme = 'bearer' | 'dpop'

/** `b64token` of RFC 6750 section 2.1, and `token68` of RFC 9110 section 11.2, which are the same. */
const B64TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/

/** Whether an access token was sent as RFC 6750 or RFC 9449 say, good or bad. */
export function hasToken(req: IncomingMessage, mode: DpopMode): boolean {
  return credentialsOf(req, mode) !== undefined
}

/** Which scheme a request with a token uses. */
export function schemeOf({ headers: { authorization = '' } }: IncomingMessage): Scheme {
  return authorization.startsWith('D') || authorization.startsWith('d') ? 'dpop' : 'bearer'
}

/**
 * What a request has in the place of an access token, or why there is nothing that could be one. Whether it has the form of a
 * token is asked of those that nobody knows.
 */
export function sentToken(
  req: IncomingMessage,
  mode: DpopMode,
  refusals: TokenRefusals,
  maxTokenBytes: number,
): string | Problem {
  if (authorizationCount(req) > 1) return refusals.twice()
  const credentials = credentialsOf(req, mode)
  if (credentials === undefined) return refusals.nothing()
  const token = afterSpaces(credentials)
  if (token.length <= maxTokenBytes) return token
  return isToken(token) ? refusals.because('token-too-long', req) : refusals.malformed(req)
}

/** Whether a text has the form of an access token. */
export function isToken(text: string): boolean {
  return B64TOKEN.test(text)
}

/** What was sent in the place of a token, by whichever scheme, for whoever only wants a look at it. */
export function peekToken(req: IncomingMessage): string | undefined {
  const credentials = credentialsOf(req, 'allowed')
  return credentials === undefined ? undefined : afterSpaces(credentials)
}

/** Behind a scheme are one or more spaces (RFC 9110 section 11.4). */
function afterSpaces(credentials: string): string {
  let start = 0
  while (credentials.charCodeAt(start) === SPACE) start++
  return credentials.slice(start)
}

const SPACE = 0x20

function credentialsOf(req: IncomingMessage, mode: DpopMode): string | undefined {
  return credentialsFor('bearer', req) ?? (mode === 'off' ? undefined : credentialsFor('dpop', req))
}
