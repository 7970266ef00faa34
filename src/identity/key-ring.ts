import { createPrivateKey, generateKeyPair, type JsonWebKey } from 'node:crypto'
import { promisify } from 'node:util'
import type { Clock, RecordStore } from '../kernel/ports.js'
import { StoreUnavailable } from '../kernel/store-unavailable.js'
import { dueAt, keptAt, signingAt, type Dated, type RingRules } from './key-ring-plan.js'
import {
  nameOf,
  publicJwk,
  type RotateKeysOptions,
  type SigningKey,
  type SigningKeys,
} from './signing-keys.js'
import type { PublicJwk } from './static-keys.js'
import type { Vault } from './vault.js'

/** What makes keys of a ring: quick to make and to use, and understood everywhere. */
const ALGORITHM = 'ES256'
const SPACE = 'signing-keys'
/** What is in the store is looked at so often. */
export const RING_POLL_MS = 60_000
/** Others change the ring too, but not for long. */
const ATTEMPTS = 20

export interface KeyRingOptions {
  readonly issuer: string
  readonly records: RecordStore
  readonly clock: Clock
  readonly rules: RingRules
  /** Seals and opens them. */
  readonly vault: Vault
}

/** A key as it is sealed. */
interface Sealed extends Dated {
  readonly jwk: JsonWebKey
}

interface RingKey extends Dated, SigningKey {
  readonly jwk: JsonWebKey
}

interface Ring {
  readonly keys: readonly RingKey[]
  readonly published: readonly PublicJwk[]
  /** On the clock that does not jump. */
  readonly readAt: number
}

/**
 * Keys that are made, announced, used and taken away by themselves. They are in the store, sealed, so that all processes of an issuer
 * have the same ones; whoever comes first makes the next.
 */
export class KeyRing implements SigningKeys {
  private ring: Ring | undefined
  private reading: Promise<Ring> | undefined

  constructor(private readonly options: KeyRingOptions) {}

  async signing(): Promise<SigningKey> {
    const { keys } = await this.recent()
    return signingAt(keys, this.options.clock.now())!
  }

  async published(newest = false): Promise<readonly PublicJwk[]> {
    // Not what somebody began to read before: it may be older than the key that is looked for.
    return (await (newest ? this.change((keys) => this.planned(keys)) : this.recent())).published
  }

  async rotate({ withdraw = false }: RotateKeysOptions = {}): Promise<void> {
    const { clock, rules } = this.options
    await this.change(async (keys) => {
      const now = clock.now()
      if (withdraw) return [await makeKey(now)]
      // One that is announced already is the next.
      return keys.some(({ signsFrom }) => signsFrom > now)
        ? keys
        : [...keys, await makeKey(now + rules.announceMs)]
    })
  }

  private recent(): Ring | Promise<Ring> {
    const { ring } = this
    if (ring !== undefined && this.options.clock.monotonic() - ring.readAt < RING_POLL_MS) return ring
    return this.read()
  }

  /** Whoever asks meanwhile gets the same answer. */
  private read(): Promise<Ring> {
    return (this.reading ??= this.change((keys) => this.planned(keys)).finally(
      () => (this.reading = undefined),
    ))
  }

  private async planned(keys: readonly RingKey[]): Promise<readonly RingKey[]> {
    const { clock, rules } = this.options
    const now = clock.now()
    const due = dueAt(keys, now, rules)
    const kept = keptAt(keys, now, rules)
    if (due !== undefined) return [...kept, await makeKey(due)]
    return kept.length === keys.length ? keys : kept
  }

  /** Reads, changes and writes until nobody wrote in between. */
  private async change(changed: (keys: readonly RingKey[]) => Promise<readonly RingKey[]>): Promise<Ring> {
    const { records, issuer, clock } = this.options
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const readAt = clock.monotonic()
      const text = await records.get(SPACE, issuer)
      const { keys, old } = this.open(text)
      const next = await changed(keys)
      if ((next === keys && !old) || (await records.replace(SPACE, issuer, text, this.close(next)))) {
        return (this.ring = { keys: next, published: next.map(publicJwk), readAt })
      }
    }
    throw new StoreUnavailable('The signing keys were changed by others all the time', 0, 1_000)
  }

  /** @throws Error for what no secret opens: it is never overwritten */
  private open(text: string | undefined): { keys: readonly RingKey[]; old: boolean } {
    const { vault, issuer } = this.options
    if (text === undefined) return { keys: [], old: false }
    let opened: string
    try {
      opened = vault.open(issuer, text).toString('utf8')
    } catch (cause) {
      throw new Error(
        `The signing keys of ${issuer} cannot be opened: keyRing.secret is another one, or the record was changed`,
        { cause },
      )
    }
    const keys = JSON.parse(opened) as readonly Sealed[]
    return { keys: keys.map(imported), old: vault.isOld(issuer, text) }
  }

  private close(keys: readonly RingKey[]): string {
    const { vault, issuer } = this.options
    const plain: Sealed[] = keys.map(({ jwk, signsFrom }) => ({ jwk, signsFrom }))
    return vault.seal(issuer, Buffer.from(JSON.stringify(plain)))
  }
}

const generate = promisify(generateKeyPair)

async function makeKey(signsFrom: number): Promise<RingKey> {
  const { privateKey } = await generate('ec', { namedCurve: 'P-256' })
  return imported({ jwk: privateKey.export({ format: 'jwk' }), signsFrom })
}

function imported({ jwk, signsFrom }: Sealed): RingKey {
  const key = createPrivateKey({ key: jwk, format: 'jwk' })
  return { jwk, signsFrom, key, kid: nameOf({ key }), algorithm: ALGORITHM }
}
