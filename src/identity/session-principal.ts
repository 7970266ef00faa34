import type { Principal } from '../kernel/context.js'
import { deepFreeze } from '../lib/deep-freeze.js'
import { LOCAL_ISSUER, ownerOf, type SessionRecord } from './session-record.js'

/** Who is calling, as the session says. */
export function sessionPrincipal(record: SessionRecord): Principal {
  const { subject, issuer, factors, authenticatedAt, acr, createdAt, expiresAt } = record
  return deepFreeze({
    id: ownerOf(record),
    subject,
    ...(issuer !== LOCAL_ISSUER && { issuer }),
    method: 'session',
    claims: claimsOf(record),
    issuedAt: Math.floor(createdAt / 1000),
    expiresAt: Math.floor(expiresAt / 1000),
    authentication: {
      amr: [...new Set(factors.map(({ method }) => method))],
      factors,
      ...(authenticatedAt > 0 && { at: Math.floor(authenticatedAt / 1000) }),
      ...(acr !== undefined && { acr }),
    },
  })
}

/** Not spread: V8 gives what is copied so and then added to a hidden class of its own, and this is read all the time. */
function claimsOf({ id, claims }: SessionRecord): Readonly<Record<string, unknown>> {
  return Object.fromEntries([...Object.entries(claims), ['session_id', id]])
}
