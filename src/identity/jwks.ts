import { createPublicKey, type JsonWebKey } from 'node:crypto'
import type { Services } from '../kernel/services.js'
import { onDemand } from '../lib/on-demand.js'
import { algorithmNames, type SigningAlgorithm } from './algorithms.js'
import { EndpointError, fetchJson } from './endpoint.js'
import { usableAlgorithms, type VerificationKey } from './key-set.js'
import { jose } from './signature.js'

/** Keys as they were published, and what tells them from others. */
export interface PublishedKeys {
  readonly keys: readonly VerificationKey[]
  readonly fingerprint: string
  /** How many keys were left out, because they must not or cannot be used. */
  readonly ignored: number
}

/**
 * It requires `jose`, which fails on Node 20 while somebody else is importing that, as a proof that arrives first does: so that comes before.
 */
const engine = onDemand(async () => {
  await jose()
  return { jwksRsa: (await import('jwks-rsa')).default }
})

/**
 * Fetches a JWK Set (RFC 7517 section 5) once. `jwks-rsa` turns it into keys; its own cache, limiter and transport stay
 * off: they would answer an outage with errors, and every unknown name with a fetch.
 */
export async function fetchKeys(
  jwksUri: string,
  services: Pick<Services, 'fetch'>,
  allowed: readonly SigningAlgorithm[],
  signal: AbortSignal,
): Promise<PublishedKeys> {
  const { jwksRsa } = await engine()
  let published = 0
  const client = jwksRsa({
    jwksUri,
    cache: false,
    rateLimit: false,
    fetcher: async (uri) => {
      const { keys } = await fetchJson(uri, services, signal)
      if (!Array.isArray(keys)) throw new EndpointError('the key endpoint did not answer with a JWK Set')
      published = keys.length
      return { keys: keys.filter(isPublicSigningKey) }
    },
  })

  const found = (await client.getSigningKeys().catch(noneIfEmpty)).map((signingKey) => {
    const { kid, alg } = signingKey as { kid?: string; alg?: string }
    const pem = signingKey.getPublicKey()
    return { kid, alg, pem }
  })
  return usable(found, published, allowed)
}

/** A JWK Set that is at hand already. */
export function keysOf(jwks: readonly unknown[], allowed: readonly SigningAlgorithm[]): PublishedKeys {
  const found = jwks.filter(isPublicSigningKey).map((jwk) => {
    const { kid, alg } = jwk as { kid?: string; alg?: string }
    const pem = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' }).export({
      type: 'spki',
      format: 'pem',
    })
    return { kid, alg, pem: String(pem) }
  })
  return usable(found, jwks.length, allowed)
}

interface FoundKey {
  readonly kid: string | undefined
  readonly alg: string | undefined
  readonly pem: string
}

function usable(
  keys: readonly FoundKey[],
  published: number,
  allowed: readonly SigningAlgorithm[],
): PublishedKeys {
  const found = new Map<string, VerificationKey>()
  for (const { kid, alg, pem } of keys) {
    const key = createPublicKey(pem)
    const algorithms = usableAlgorithms(key, alg, allowed)
    if (algorithms.length === 0) continue
    // One key under one name twice is one key; two keys under one name are both candidates.
    found.set(JSON.stringify([kid, algorithms, pem]), { ...(kid !== undefined && { kid }), key, algorithms })
  }
  return {
    keys: [...found.values()],
    fingerprint: [...found.keys()].sort().join(),
    ignored: published - found.size,
  }
}

/** Private and symmetric keys are known to whoever can read the set; keys for encryption sign nothing. */
function isPublicSigningKey(jwk: unknown): boolean {
  if (typeof jwk !== 'object' || jwk === null || 'd' in jwk || 'k' in jwk) return false
  const { kty, use, alg, kid, key_ops: operations } = jwk as JsonWebKey & Record<string, unknown>
  return (
    (kty === 'RSA' || kty === 'EC' || kty === 'OKP') &&
    (use === undefined || use === 'sig') &&
    (alg === undefined || algorithmNames.includes(alg as SigningAlgorithm)) &&
    (kid === undefined || typeof kid === 'string') &&
    (operations === undefined || (Array.isArray(operations) && operations.includes('verify')))
  )
}

/** An issuer that withdraws all its keys means it; only `jwks-rsa` calls that an error. */
function noneIfEmpty(error: unknown): [] {
  if ((error as Partial<Error> | undefined)?.name === 'JwksError') return []
  throw error
}
