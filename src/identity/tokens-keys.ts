import { randomBytes } from 'node:crypto'
import { integer, knownKeys } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { Clock, RecordStore } from '../kernel/ports.js'
import type { Secret } from '../kernel/secret.js'
import { KeyRing, RING_POLL_MS } from './key-ring.js'
import type { PrivateKey } from './private-key.js'
import { givenKeys, type SigningKeys } from './signing-keys.js'
import { Vault } from './vault.js'

/** How signing keys change by themselves, in the store. */
export interface SigningKeyRingOptions {
  /**
   * The secret under which the private keys are sealed in the store (AES-256-GCM), at least 32 bytes; keep it apart from the store. Required.
   * To change it, give a list of up to 5, the new one first.
   */
  secret: Secret | readonly Secret[]
  /** How long a key signs, in seconds. Default 2,592,000, 30 days. At least an hour. */
  rotateSeconds?: number
  /** How long a key is published before it signs, in seconds. Default 86,400, a day, or a quarter of `rotateSeconds`. At least ten minutes. */
  announceSeconds?: number
}

const YEAR_SECONDS = 31_536_000
/** How far the clocks of those who verify may be behind, and how late a process may notice that its key signs no more. */
const TOLERANCE_MS = 300_000 + RING_POLL_MS

interface Surroundings {
  readonly issuer: string
  readonly records: RecordStore
  readonly clock: Clock
  readonly accessMs: number
  readonly inMemory: boolean
}

/** @throws ConfigError where nobody could tell which key signs, or other processes would not have it */
export function tokensKeys(
  { keys, keyRing }: { keys?: PrivateKey | readonly PrivateKey[]; keyRing?: SigningKeyRingOptions },
  { inMemory, accessMs, ...around }: Surroundings,
): SigningKeys {
  if (keys !== undefined && keyRing !== undefined)
    throw new ConfigError('tokens has keys and keyRing; keys come from one place, so give one of them')
  if (keys !== undefined) return givenKeys('tokens.keys', keys)
  if (keyRing === undefined && !inMemory) {
    throw new ConfigError(
      'tokens needs keyRing: { secret } or keys: other processes that share the store could not verify what is signed with keys in the memory of this one',
      'keys-required',
    )
  }
  const ring = keyRing === undefined ? { secret: randomBytes(32) } : keyRing
  return new KeyRing({ ...around, ...ringOf(ring, accessMs) })
}

function ringOf(options: SigningKeyRingOptions, accessMs: number) {
  knownKeys('tokens.keyRing', options, ['secret', 'rotateSeconds', 'announceSeconds'], ['secret'])
  const { secret, rotateSeconds = 2_592_000 } = options
  integer('tokens.keyRing.rotateSeconds', rotateSeconds, { min: 3_600, max: YEAR_SECONDS })
  const { announceSeconds = Math.min(86_400, Math.floor(rotateSeconds / 4)) } = options
  const announce = integer('tokens.keyRing.announceSeconds', announceSeconds, {
    min: 600,
    max: rotateSeconds,
  })
  return {
    vault: new Vault('tokens.keyRing.secret', 'secure-api: signing keys', secret),
    rules: {
      rotateMs: rotateSeconds * 1000,
      announceMs: announce * 1000,
      outliveMs: accessMs + TOLERANCE_MS,
    },
  }
}
