import { createPrivateKey, createPublicKey, KeyObject, type JsonWebKey } from 'node:crypto'
import { ConfigError } from '../kernel/config-error.js'
import type { SigningAlgorithm } from './algorithms.js'
import { usableAlgorithms } from './key-set.js'

/** A private key: a JWK, the text of a PEM file, or a `KeyObject`. */
export type PrivateKey = (JsonWebKey & { kid?: string; alg?: string }) | string | KeyObject

/** A private key, and the one algorithm that it signs with. */
export interface ImportedKey<A extends SigningAlgorithm = SigningAlgorithm> {
  readonly kid: string | undefined
  readonly algorithm: A
  readonly key: KeyObject
}

/**
 * @param allowed what it may sign with, the usual algorithm of a type first
 * @param needed says which keys fit, in messages
 * @throws ConfigError that never contains the key
 */
export function importPrivateKey<A extends SigningAlgorithm>(
  option: string,
  given: PrivateKey,
  allowed: readonly A[],
  needed: string,
): ImportedKey<A> {
  const key = toKeyObject(option, given)
  const { kid, alg } = given instanceof KeyObject || typeof given === 'string' ? {} : given
  const [algorithm] = usableAlgorithms(createPublicKey(key), alg, allowed)
  if (algorithm !== undefined) return { kid, algorithm: algorithm as A, key }
  throw new ConfigError(`${option} must be ${needed}`, 'unusable-key')
}

function toKeyObject(option: string, given: PrivateKey): KeyObject {
  try {
    const key =
      given instanceof KeyObject
        ? given
        : typeof given === 'string'
          ? createPrivateKey(given)
          : createPrivateKey({ key: given, format: 'jwk' })
    if (key.type === 'private') return key
  } catch {
    // Node's message may quote the key.
  }
  throw new ConfigError(`${option} must be a private key: a JWK, a PEM text or a KeyObject`, 'unusable-key')
}
