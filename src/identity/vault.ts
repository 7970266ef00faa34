import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
  type KeyObject,
} from 'node:crypto'
import { show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { importSecret, type Secret } from '../kernel/secret.js'

const MAX_KEYS = 5
const NONCE_BYTES = 12
const TAG_BYTES = 16

interface Key {
  readonly sealing: Buffer
  readonly hashing: Buffer
}

/**
 * Keeps secrets in a store that others may read: sealed (AES-256-GCM) for whom they belong to, or hashed. The first key
 * is for new ones; what the others made is still good.
 */
export class Vault {
  private readonly keys: readonly Key[]

  /** @throws ConfigError for a secret that is not worth the name */
  constructor(option: string, purpose: string, secret: Secret | readonly Secret[]) {
    const list: readonly unknown[] = Array.isArray(secret) ? secret : [secret]
    if (list.length === 0 || list.length > MAX_KEYS)
      throw new ConfigError(`${option} must be one secret or a list of 1 to ${MAX_KEYS}, got ${show(secret)}`)
    this.keys = list.map((one, i) => {
      const key = importSecret(Array.isArray(secret) ? `${option}[${i}]` : option, one)
      return { sealing: derived(key, `${purpose}: sealing`), hashing: derived(key, `${purpose}: hashing`) }
    })
  }

  /** @param owner whom it belongs to: sealed for one, it cannot be opened as another's */
  seal(owner: string, secret: Uint8Array): string {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.keys[0]!.sealing, nonce)
    cipher.setAAD(Buffer.from(owner, 'utf8'))
    const sealed = Buffer.concat([cipher.update(secret), cipher.final()])
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url')
  }

  /** @throws Error for what was not sealed here, or for somebody else */
  open(owner: string, sealed: string): Buffer {
    const bytes = Buffer.from(sealed, 'base64url')
    for (const { sealing } of this.keys) {
      try {
        return opened(sealing, owner, bytes)
      } catch {
        // Another key may have sealed it.
      }
    }
    throw new Error('A sealed secret cannot be opened: none of the keys made it for this owner')
  }

  /** Whether something was sealed with another key than new ones are. */
  isOld(owner: string, sealed: string): boolean {
    try {
      opened(this.keys[0]!.sealing, owner, Buffer.from(sealed, 'base64url'))
      return false
    } catch {
      return true
    }
  }

  hash(owner: string, text: string): string {
    return hmac(this.keys[0]!, owner, text).toString('base64url')
  }

  /** Which of the hashes is that of the text, or -1. All are compared, whichever it is. */
  find(owner: string, text: string, hashes: readonly string[]): number {
    const digests = this.keys.map((key) => hmac(key, owner, text))
    let found = -1
    hashes.forEach((hash, i) => {
      const expected = Buffer.from(hash, 'base64url')
      if (digests.some((digest) => digest.length === expected.length && timingSafeEqual(digest, expected)))
        found = i
    })
    return found
  }
}

function opened(key: Buffer, owner: string, bytes: Buffer): Buffer {
  const start = NONCE_BYTES + TAG_BYTES
  const options = { authTagLength: TAG_BYTES }
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), options)
  decipher.setAAD(Buffer.from(owner, 'utf8'))
  decipher.setAuthTag(bytes.subarray(NONCE_BYTES, start))
  return Buffer.concat([decipher.update(bytes.subarray(start)), decipher.final()])
}

function hmac({ hashing }: Key, owner: string, text: string): Buffer {
  return createHmac('sha256', hashing)
    .update(JSON.stringify([owner, text]))
    .digest()
}

function derived(key: KeyObject, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, '', `secure-api ${purpose}`, 32))
}
