import { hkdfSync } from 'node:crypto'
import { seal as sealWith, unseal as unsealWith } from '../lib/seal.js'

/**
 * Seals a text with a key that follows from the id of a session, which the store does not have: only who comes with the
 * cookie can open it.
 */
export function seal(sessionId: string, text: string): string {
  return sealWith(keyFrom(sessionId), Buffer.from(text, 'utf8'))
}

/** @throws Error for what was sealed with another id, or changed */
export function unseal(sessionId: string, sealed: string): string {
  return unsealWith(keyFrom(sessionId), sealed).toString('utf8')
}

function keyFrom(sessionId: string): Buffer {
  return Buffer.from(hkdfSync('sha256', sessionId, '', 'secure-api: what is attached to a session', 32))
}
