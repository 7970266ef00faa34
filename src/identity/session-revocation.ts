import type { Later } from '../kernel/ports.js'
import type { Services } from '../kernel/services.js'
import { when } from '../lib/when.js'
import { readAnswer, type Revocation } from './revocation.js'
import type { SessionRecord } from './session-record.js'

/**
 * Whether a session was revoked elsewhere. What it is called there: `sid` is that of its identity provider, or else its own name.
 *
 * @throws TypeError for an answer that says neither
 */
export function isRevoked(
  revocation: Revocation,
  { issuer, subject, sid, id, createdAt }: SessionRecord,
  services: Services,
): Later<boolean> {
  const revocable = { issuer, subject, jti: undefined, sid: sid ?? id, issuedAt: createdAt / 1000 }
  return when(revocation.check(revocable, services), (said) => readAnswer(said) !== undefined)
}
