import type { Principal } from '../kernel/context.js'
import { deepFreeze } from '../lib/deep-freeze.js'
import { LOCAL_ISSUER, ownerOf, type SessionRecord } from './session-record.js'

/** Who is calling, as the session says. */
export function sessionPrincipal(record: SessionRecord): Principal {
  const { id, subject, issuer, claims, factors, authenticatedAt, acr, createdAt, expiresAt } = record
  return deepFreeze({
    id: ownerOf(record),
    subject,
    ...(issuer !== LOCAL_ISSUER && { issuer }),
    method: 'session',
    claims: { ...claims, session_id: id },
    issuedAt: Math.floor(createdAt / 1000),
    expiresAt: Math.floor(expiresAt / 1000),
    authentication: {
      ...(authenticatedAt > 0 && { at: Math.floor(authenticatedAt / 1000) }),
      ...(acr !== undefined && { acr }),
      amr: [...new Set(factors.map(({ method }) => method))],
      factors,
    },
  })
}
