import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto'
import { show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { importSecret, type Secret } from '../kernel/secret.js'

/** What the store has of a secret: a keyed hash, and the name of its key. */
export interface HashedSecret {
  readonly hash: string
  readonly pepper: string
}

/** Secrets that a key may have at once: the new one, and the one before. */
export const LIVE_SECRETS = 2

const MAX_PEPPERS = 5
const NOBODY = Buffer.alloc(32)

/**
 * The keys of the hashes. Somebody who reads the store can neither make nor test an API key without them. The first one
 * hashes new secrets; the others are still good for what they hashed.
 */
export class Peppers {
  private readonly keys: readonly { readonly name: string; readonly key: KeyObject }[]

  /** @throws ConfigError for a secret that is not worth the name */
  constructor(option: string, pepper: Secret | readonly Secret[]) {
    const list: readonly unknown[] = Array.isArray(pepper) ? pepper : [pepper]
    if (list.length === 0 || list.length > MAX_PEPPERS) {
      throw new ConfigError(
        `${option} must be one secret or a list of 1 to ${MAX_PEPPERS}, got ${show(pepper)}`,
      )
    }
    this.keys = list.map((one, i) => {
      const key = importSecret(Array.isArray(pepper) ? `${option}[${i}]` : option, one)
      // Says which key it is, and nothing about it.
      return { name: hmac(key, 'secure-api: name of a pepper').toString('base64url').slice(0, 8), key }
    })
  }

  hash(body: string): HashedSecret {
    const { name, key } = this.keys[0]!
    return { hash: hmac(key, body).toString('base64url'), pepper: name }
  }

  /** Whether a hash was made with a key that new ones are not made with. */
  isOld({ pepper }: HashedSecret): boolean {
    return pepper !== this.keys[0]!.name
  }

  /**
   * Which of the secrets this one is, or -1. Always the same work, whatever there is to compare with, so that time tells
   * nobody which ids exist (ASVS 6.3.8, 11.2.4).
   */
  find(body: string, secrets: readonly HashedSecret[]): number {
    const digests = this.keys.map(({ key }) => hmac(key, body))
    let found = -1
    for (let i = 0; i < LIVE_SECRETS; i++) {
      const secret = secrets[i]
      const made = this.keys.findIndex(({ name }) => name === secret?.pepper)
      const expected = secret === undefined ? NOBODY : Buffer.from(secret.hash, 'base64url')
      const same = expected.length === 32 && timingSafeEqual(digests[Math.max(made, 0)]!, expected)
      if (same && made !== -1) found = i
    }
    return found
  }
}

function hmac(key: KeyObject, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
