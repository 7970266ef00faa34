import type { KeyObject } from 'node:crypto'
import { asymmetricAlgorithms, fits, type SigningAlgorithm } from './algorithms.js'

/** A key that may verify tokens of one issuer, imported once. */
export interface VerificationKey {
  /** Absent: the key answers to any `kid`, and to none at all. */
  readonly kid?: string
  readonly key: KeyObject
  /** What this key may be used with; never empty. */
  readonly algorithms: readonly SigningAlgorithm[]
}

/** So many keys of one name are tried, so that a token cannot buy one signature check for every key of its issuer. */
export const MOST_CANDIDATES = 4

/** The keys of one issuer at one moment. Never changes: what was verified with a set is as good as the set is. */
export class KeySet {
  /** @param withdrawn names of keys that the issuer has published before and does not any more */
  constructor(
    readonly keys: readonly VerificationKey[],
    private readonly withdrawn: ReadonlySet<string> = new Set(),
  ) {}

  /** The keys that may have signed a token with this header. */
  lookup(kid: string | undefined, algorithm: SigningAlgorithm): Lookup {
    const named =
      kid === undefined ? this.keys : this.keys.filter((key) => key.kid === undefined || key.kid === kid)
    return {
      candidates: named.filter(({ algorithms }) => algorithms.includes(algorithm)).slice(0, MOST_CANDIDATES),
      final: kid !== undefined && (this.withdrawn.has(kid) || named.some((key) => key.kid === kid)),
    }
  }
}

/** What a set knows about a token's key. */
export interface Lookup {
  readonly candidates: readonly VerificationKey[]
  /** The set knows this name. If not, and no candidate fits, a newer set may have the key. */
  readonly final: boolean
}

const MIN_RSA_BITS = 2048
/** Above this, one check costs milliseconds. */
const MAX_RSA_BITS = 8192
/** The same for exponents, of keys of up to 3,072 bits: OpenSSL itself takes no longer ones with longer keys. */
const MAX_EXPONENT = 2n ** 64n

/**
 * What a public key may be used with: the allow-list, cut down to what its type, its curve and its own `alg` permit
 * (RFC 8725 section 3.1). Empty for a key that is too weak or of a kind that is not supported.
 */
export function usableAlgorithms(
  key: KeyObject,
  alg: string | undefined,
  allowed: readonly SigningAlgorithm[] = asymmetricAlgorithms,
): readonly SigningAlgorithm[] {
  if (key.asymmetricKeyType === 'rsa' && !isSoundRsa(key)) return []
  if (key.asymmetricKeyType === 'ed25519' && isOfSmallOrder(key)) return []
  return allowed.filter((one) => (alg === undefined || alg === one) && fits(one, key))
}

function isSoundRsa({ asymmetricKeyDetails: details }: KeyObject): boolean {
  const { modulusLength = 0, publicExponent = 0n } = details ?? {}
  // An exponent of 1 makes every message its own signature.
  return (
    modulusLength >= MIN_RSA_BITS &&
    modulusLength <= MAX_RSA_BITS &&
    publicExponent >= 3n &&
    publicExponent < MAX_EXPONENT &&
    publicExponent % 2n === 1n
  )
}

/**
 * The points of Ed25519 whose order divides 8, by their y in hexadecimal, little-endian, in each spelling that is read as one of
 * them: 0, 1, -1, and the two that are of order 8.
 */
const SMALL_ORDER = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
])

/** Under such a key everybody can sign: one signature holds for every eighth message at least. */
function isOfSmallOrder(key: KeyObject): boolean {
  if (key.type !== 'public') return false
  const point = Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url')
  // The highest bit is the sign of x.
  point[31] = (point[31] ?? 0) & 0x7f
  return SMALL_ORDER.has(point.toString('hex'))
}
