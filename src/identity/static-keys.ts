import { createPublicKey, KeyObject, type JsonWebKey } from 'node:crypto'
import { show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { importSecret } from '../kernel/secret.js'
import { signingAlgorithms, type SigningAlgorithm } from './algorithms.js'
import { KeySet, MOST_CANDIDATES, usableAlgorithms, type VerificationKey } from './key-set.js'

/** A public JSON Web Key (RFC 7517). */
export interface PublicJwk extends JsonWebKey {
  kid?: string
  alg?: string
  use?: string
  key_ops?: string[]
}

/** A public key: a JWK, the text of a PEM file, or a `KeyObject`. Only a JWK can carry a `kid`; the others answer to any. */
export type PublicKey = PublicJwk | string | KeyObject

/** @throws ConfigError for private keys and for keys that no allowed algorithm can use */
export function staticKeys(
  option: string,
  keys: readonly unknown[],
  allowed: readonly SigningAlgorithm[],
): KeySet {
  return keySet(
    option,
    keys.map((key, index) =>
      importPublicKey(keys.length === 1 ? option : `${option}[${index}]`, key, allowed),
    ),
  )
}

/** @throws ConfigError for a secret that is too short for every allowed algorithm, or is known */
export function staticSecrets(
  option: string,
  secrets: readonly unknown[],
  allowed: readonly SigningAlgorithm[],
): KeySet {
  return keySet(
    option,
    secrets.map((secret) => {
      const key = importSecret(option, secret)
      for (const algorithm of allowed) {
        const needed = signingAlgorithms[algorithm].secretBytes ?? 0
        if ((key.symmetricKeySize ?? 0) < needed) {
          throw new ConfigError(
            `${option} must have at least ${needed} bytes for ${algorithm}, got ${key.symmetricKeySize ?? 0} (RFC 7518 section 3.2)`,
            'weak-secret',
          )
        }
      }
      return { key, algorithms: allowed }
    }),
  )
}

/** Keys without a name are all tried, so there must not be more of them than are tried. */
function keySet(option: string, keys: readonly VerificationKey[]): KeySet {
  const nameless = keys.filter(({ kid }) => kid === undefined).length
  if (keys.length > 0 && nameless <= MOST_CANDIDATES) return new KeySet(keys)
  throw new ConfigError(
    keys.length === 0
      ? `${option} must not be empty`
      : `${option} has ${nameless} keys without a \`kid\`, and at most ${MOST_CANDIDATES} are tried; give JWKs with a \`kid\``,
  )
}

function importPublicKey(
  option: string,
  given: unknown,
  allowed: readonly SigningAlgorithm[],
): VerificationKey {
  const jwk = isJwk(given) ? given : {}
  const key = toKeyObject(option, given)
  const algorithms = usableAlgorithms(key, jwk.alg, allowed)
  if (algorithms.length === 0 || (jwk.use !== undefined && jwk.use !== 'sig')) {
    throw new ConfigError(
      `${option} cannot verify ${allowed.join(', ')}: it needs RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519, and \`alg\` and \`use\` that say so`,
      'unusable-key',
    )
  }
  return { ...(jwk.kid !== undefined && { kid: jwk.kid }), key, algorithms }
}

function toKeyObject(option: string, given: unknown): KeyObject {
  if (isPrivate(given)) {
    throw new ConfigError(
      `${option} is a private or secret key, which has no business in an API that only verifies; give the public key`,
      'private-key',
    )
  }
  try {
    if (given instanceof KeyObject) return given
    if (typeof given === 'string') return createPublicKey(given)
    if (isJwk(given)) return createPublicKey({ key: given, format: 'jwk' })
  } catch {
    // Node's message may quote the key.
    throw new ConfigError(`${option} is no key that can be read`, 'unusable-key')
  }
  throw new ConfigError(`${option} must be a JWK, a PEM text or a KeyObject, got ${show(given)}`)
}

function isPrivate(given: unknown): boolean {
  if (typeof given === 'string') return given.includes('PRIVATE KEY')
  if (given instanceof KeyObject) return given.type !== 'public'
  return isJwk(given) && ('d' in given || 'k' in given)
}

function isJwk(given: unknown): given is PublicJwk {
  return (
    typeof given === 'object' &&
    given !== null &&
    !(given instanceof KeyObject) &&
    typeof (given as PublicJwk).kty === 'string'
  )
}
