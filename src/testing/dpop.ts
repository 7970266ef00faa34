import { createHash, createPublicKey, randomUUID, type JsonWebKey, type KeyObject } from 'node:crypto'
import type { Clock } from '../kernel/ports.js'
import { systemClock } from '../kernel/system-clock.js'
import { makeKey, type KeyAlgorithm } from './keys.js'
import { signToken } from './sign.js'

export interface DpopClientOptions {
  /** What it signs with. Default `ES256`. */
  algorithm?: KeyAlgorithm
  /** Dates its proofs: give it the clock of the API under test. Default: the system's. */
  clock?: Pick<Clock, 'now'>
}

export interface ProofOptions {
  /** The nonce that the server asked for. Default: none. */
  nonce?: string
  /** Claims to add or to change; `undefined` leaves one out. Default: none. */
  claims?: Readonly<Record<string, unknown>>
  /** Header parameters to add or to change; `undefined` leaves one out. Default: none. */
  header?: Readonly<Record<string, unknown>>
  /** A private key to sign with. Default: the client's own. */
  key?: KeyObject
}

/** A client with a key that its access tokens are bound to (RFC 9449). */
export interface DpopClient {
  /** Its public key. */
  readonly jwk: JsonWebKey
  /** What a token has in `cnf.jkt` that is bound to this key: `issuer.mint({ cnf: { jkt: client.jkt } })`. */
  readonly jkt: string
  /** A proof for one request. */
  proof(method: string, url: string, token: string, options?: ProofOptions): string
  /** The header fields of one request: the token, and a proof. */
  fields(
    method: string,
    url: string,
    token: string,
    options?: ProofOptions,
  ): { Authorization: string; DPoP: string }
}

/**
 * Stands in for a client that proves possession of its key (RFC 9449), and makes proofs that are wrong in one way.
 *
 * @example
 * const client = dpopClient()
 * const token = issuer.mint({ cnf: { jkt: client.jkt } })
 * await request(app).get('/orders').set(client.fields('GET', 'https://api.test/orders', token)).expect(200)
 */
export function dpopClient({ algorithm = 'ES256', clock = systemClock }: DpopClientOptions = {}): DpopClient {
  const own = makeKey(algorithm)
  const jwk = createPublicKey(own).export({ format: 'jwk' })
  const proof: DpopClient['proof'] = (
    htm,
    htu,
    token,
    { nonce, claims = {}, header = {}, key = own } = {},
  ) => {
    const iat = Math.floor(clock.now() / 1000)
    const ath = createHash('sha256').update(token).digest('base64url')
    return signToken(
      { typ: 'dpop+jwt', alg: algorithm, jwk, ...header },
      { jti: randomUUID(), htm, htu, iat, ath, nonce, ...claims },
      key,
      algorithm,
    )
  }
  return {
    jwk,
    jkt: thumbprint(jwk),
    proof,
    fields: (method, url, token, options) => ({
      Authorization: `DPoP ${token}`,
      DPoP: proof(method, url, token, options),
    }),
  }
}

/** RFC 7638: the members that make a key, in alphabetical order. */
function thumbprint({ crv, e, kty, n, x, y }: JsonWebKey): string {
  return createHash('sha256').update(JSON.stringify({ crv, e, kty, n, x, y })).digest('base64url')
}
