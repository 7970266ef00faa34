import type { Principal } from '../kernel/context.js'
import type { Claims, Validity } from './claims.js'

/** ASVS 6.8.1: no issuer can speak for another's subject. An issuer contains no space, so the first one ends it. */
export function tokenPrincipal(
  method: string,
  issuer: string,
  subject: string,
  claims: Claims,
  { issuedAt, expiresAt }: Validity,
): Principal {
  return Object.freeze({ id: `${issuer} ${subject}`, subject, issuer, method, claims, issuedAt, expiresAt })
}
