import { createHash, createPublicKey } from 'node:crypto'
import type { Later } from '../kernel/ports.js'
import { ConfigError } from '../kernel/config-error.js'
import type { SigningAlgorithm } from './algorithms.js'
import { importPrivateKey, type ImportedKey, type PrivateKey } from './private-key.js'
import type { PublicJwk } from './static-keys.js'

/** A key that signs tokens. */
export interface SigningKey extends ImportedKey {
  readonly kid: string
}

export interface RotateKeysOptions {
  /** Takes the keys before away at once, because somebody else may have them: every access token is over. Default false. */
  withdraw?: boolean
}

/** The keys of one issuer: which one signs now, and which ones are published. */
export interface SigningKeys {
  signing(): Later<SigningKey>
  /** Those that sign, have signed tokens that are still good, or will sign soon. @param newest not what is remembered */
  published(newest?: boolean): Later<readonly PublicJwk[]>
  /** Where they never change: all of them. */
  readonly fixed?: readonly PublicJwk[]
  /** @throws Error where the keys are somebody else's to change */
  rotate(options?: RotateKeysOptions): Promise<void>
}

/** What tokens can be signed with, the usual algorithm of a type first. `none` and shared secrets are not among them. */
const ALGORITHMS = [
  ...(['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const),
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const),
]
const NEEDED = 'P-256, P-384, P-521, Ed25519 or RSA of 2048 to 8192 bits, and its `alg` one that it can sign'
/** More than any rotation needs. */
const MAX_KEYS = 10

/**
 * Keys that the application has: the first one signs, all are published. To change it, put the new one behind it, then in front, then
 * leave the old one out.
 *
 * @throws ConfigError that never contains a key
 */
export function givenKeys(option: string, given: PrivateKey | readonly PrivateKey[]): SigningKeys {
  const list = (Array.isArray(given) ? given : [given]) as readonly PrivateKey[]
  if (list.length === 0 || list.length > MAX_KEYS) {
    throw new ConfigError(
      `${option} must be a private key or a list of 1 to ${MAX_KEYS}, the one that signs first`,
    )
  }
  const keys = list.map((one, i) => {
    const imported = importPrivateKey(list.length === 1 ? option : `${option}[${i}]`, one, ALGORITHMS, NEEDED)
    return { ...imported, kid: imported.kid ?? nameOf(imported) }
  })
  if (new Set(keys.map(({ kid }) => kid)).size < keys.length) {
    throw new ConfigError(`${option} has two keys of one \`kid\`; whoever verifies could not tell them apart`)
  }
  const published = keys.map(publicJwk)
  return {
    signing: () => keys[0]!,
    published: () => published,
    fixed: published,
    rotate: () =>
      Promise.reject(
        new Error('tokens: the keys were given; give other ones, or use keyRing to have them changed'),
      ),
  }
}

/** The same name in every process, for a key that has none. */
export function nameOf({ key }: Pick<ImportedKey, 'key'>): string {
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(spki).digest('base64url').slice(0, 16)
}

export function publicJwk({
  kid,
  key,
  algorithm,
}: {
  kid: string
  key: SigningKey['key']
  algorithm: SigningAlgorithm
}): PublicJwk {
  return { ...createPublicKey(key).export({ format: 'jwk' }), kid, alg: algorithm, use: 'sig' }
}
