import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

const AES = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
const START = NONCE_BYTES + TAG_BYTES

/**
 * Seals a secret, so that only who has the key can read or change it (AES-256-GCM).
 *
 * @param owner whom it belongs to: sealed for one, it cannot be opened as another's
 */
export function seal(key: Uint8Array, secret: Uint8Array, owner = ''): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(AES, key, nonce).setAAD(Buffer.from(owner, 'utf8'))
  const sealed = Buffer.concat([cipher.update(secret), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url')
}

/** @throws Error for what was sealed with another key or for somebody else, or changed */
export function unseal(key: Uint8Array, sealed: string, owner = ''): Buffer {
  const bytes = Buffer.from(sealed, 'base64url')
  const decipher = createDecipheriv(AES, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(owner, 'utf8')).setAuthTag(bytes.subarray(NONCE_BYTES, START))
  return Buffer.concat([decipher.update(bytes.subarray(START)), decipher.final()])
}
