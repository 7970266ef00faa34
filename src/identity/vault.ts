import { createHmac, hkdfSync, timingSafeEqual, type KeyObject } from 'node:crypto'
import { show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { importSecret, type Secret } from '../kernel/secret.js'
import { seal, unseal } from '../lib/seal.js'

const MAX_KEYS = 5

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
    return seal(this.keys[0]!.sealing, secret, owner)
  }

  /** @throws Error for what was not sealed here, or for somebody else */
  open(owner: string, sealed: string): Buffer {
    for (const { sealing } of this.keys) {
      try {
        return unseal(sealing, sealed, owner)
      } catch {
        // Another key may have sealed it.
      }
    }
    throw new Error('A sealed secret cannot be opened: none of the keys made it for this owner')
  }

  /** Whether something was sealed with another key than new ones are. */
  isOld(owner: string, sealed: string): boolean {
    try {
      unseal(this.keys[0]!.sealing, sealed, owner)
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

function hmac({ hashing }: Key, owner: string, text: string): Buffer {
  return createHmac('sha256', hashing)
    .update(JSON.stringify([owner, text]))
    .digest()
}

function derived(key: KeyObject, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, '', `secure-api ${purpose}`, 32))
}
