import type { IncomingMessage } from 'node:http'
import type { Problem } from '../kernel/problem.js'
import { authorizationCount, credentialsFor } from './authorization.js'
import type { TokenRefusals } from './token-refusals.js'

/** What methods that read access tokens call what they read. */
export const BEARER = 'bearer-token'

/** RFC 6750 section 2.1: the scheme, one or more spaces, and a `b64token`. */
const B64TOKEN = /^ +([A-Za-z0-9\-._~+/]+=*)$/

/** Whether an access token was sent as RFC 6750 section 2.1 says, good or bad. */
export function hasToken(req: IncomingMessage): boolean {
  return credentialsFor('bearer', req) !== undefined
}

/** The access token of a request, or why there is none that could be judged. */
export function sentToken(
  req: IncomingMessage,
  refusals: TokenRefusals,
  maxTokenBytes: number,
): string | Problem {
  if (authorizationCount(req) > 1) return refusals.twice()
  const credentials = credentialsFor('bearer', req)
  if (credentials === undefined) return refusals.nothing()
  const token = B64TOKEN.exec(credentials)?.[1]
  if (token === undefined) return refusals.malformed()
  return token.length > maxTokenBytes ? refusals.because('token-too-long') : token
}

/** The token if one was sent well formed, for whoever only wants a look at it. */
export function peekToken(req: IncomingMessage): string | undefined {
  const credentials = credentialsFor('bearer', req)
  return credentials === undefined ? undefined : B64TOKEN.exec(credentials)?.[1]
}
