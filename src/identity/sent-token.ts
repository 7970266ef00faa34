import type { IncomingMessage } from 'node:http'
import type { Problem } from '../kernel/problem.js'
import { authorizationCount, credentialsFor } from './authorization.js'
import type { DpopMode } from './dpop-options.js'
import type { TokenRefusals } from './token-refusals.js'

/** What methods that read access tokens call what they read. */
export const BEARER = 'bearer-token'

/** How an access token is sent: RFC 6750 section 2.1, RFC 9449 section 7.1. */
export type Scheme = 'bearer' | 'dpop'

/** The scheme, one or more spaces, and a `b64token` or `token68`, which are the same. */
const B64TOKEN = /^ +([A-Za-z0-9\-._~+/]+=*)$/

/** Whether an access token was sent as RFC 6750 or RFC 9449 say, good or bad. */
export function hasToken(req: IncomingMessage, mode: DpopMode): boolean {
  return credentialsOf(req, mode) !== undefined
}

/** Which scheme a request with a token uses. */
export function schemeOf({ headers: { authorization = '' } }: IncomingMessage): Scheme {
  return authorization.startsWith('D') || authorization.startsWith('d') ? 'dpop' : 'bearer'
}

/** The access token of a request, or why there is none that could be judged. */
export function sentToken(
  req: IncomingMessage,
  mode: DpopMode,
  refusals: TokenRefusals,
  maxTokenBytes: number,
): string | Problem {
  if (authorizationCount(req) > 1) return refusals.twice()
  const credentials = credentialsOf(req, mode)
  if (credentials === undefined) return refusals.nothing()
  const token = B64TOKEN.exec(credentials)?.[1]
  if (token === undefined) return refusals.malformed(req)
  return token.length > maxTokenBytes ? refusals.because('token-too-long', req) : token
}

/** The token if one was sent well formed, for whoever only wants a look at it. */
export function peekToken(req: IncomingMessage, mode: DpopMode): string | undefined {
  const credentials = credentialsOf(req, mode)
  return credentials === undefined ? undefined : B64TOKEN.exec(credentials)?.[1]
}

function credentialsOf(req: IncomingMessage, mode: DpopMode): string | undefined {
  return credentialsFor('bearer', req) ?? (mode === 'off' ? undefined : credentialsFor('dpop', req))
}
