import type { Claims } from './claims.js'
import { isFactorName, isName, MAX_ATTACHMENT, MAX_FACTORS, type LoginOptions } from './session-request.js'

/**
 * What a session is told of a verified ID token; `undefined` if that names its user, the session there or the moment of the login in a
 * way that nothing can be found by later (OpenID Connect Core section 2).
 *
 * @param latest the time, and how far the clock of the provider may be ahead, in seconds since 1970
 */
export function loginOf(
  { iss, sub, sid, amr, acr, auth_time: at }: Claims,
  idToken: string,
  latest: number,
): LoginOptions | undefined {
  if (!isName(sub) || !(sid === undefined || isName(sid))) return undefined
  // From the future, it would be a fresh proof until then.
  if (at !== undefined && !(typeof at === 'number' && at >= 0 && at <= latest)) return undefined
  return {
    issuer: iss as string,
    subject: sub,
    // A hint for the logout there, which can do without.
    ...(idToken.length <= MAX_ATTACHMENT && { attachment: idToken }),
    factors: Array.isArray(amr) ? amr.filter(isFactorName).slice(0, MAX_FACTORS) : [],
    // Unless the provider says when, it may be long ago.
    authenticatedAt: at === undefined ? 0 : Math.floor(at),
    ...(isLevel(acr) && { acr }),
    ...(sid !== undefined && { sid }),
  }
}

function isLevel(value: unknown): value is string {
  return typeof value === 'string' && /^[\x20-\x7e]{1,200}$/.test(value)
}
