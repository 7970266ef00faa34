import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * Seals a text (AES-256-GCM) with a key that follows from the id of a session, which the store does not have: only who
 * comes with the cookie can open it.
 */
export function seal(sessionId: string, text: string): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', keyFrom(sessionId), nonce)
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url')
}

/** @throws Error for what was sealed with another id, or changed */
export function unseal(sessionId: string, sealed: string): string {
  const bytes = Buffer.from(sealed, 'base64url')
  const body = NONCE_BYTES + TAG_BYTES
  const options = { authTagLength: TAG_BYTES }
  const decipher = createDecipheriv(
    'aes-256-gcm',
    keyFrom(sessionId),
    bytes.subarray(0, NONCE_BYTES),
    options,
  )
  decipher.setAuthTag(bytes.subarray(NONCE_BYTES, body))
  return Buffer.concat([decipher.update(bytes.subarray(body)), decipher.final()]).toString('utf8')
}

function keyFrom(sessionId: string): Buffer {
  return Buffer.from(hkdfSync('sha256', sessionId, '', 'secure-api: what is attached to a session', 32))
}
