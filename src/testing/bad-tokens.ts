import { createPublicKey, createSecretKey } from 'node:crypto'
import { makeKey, type KeyAlgorithm } from './keys.js'
import type { LocalIssuer } from './tokens.js'

const HOUR = 3_600
const YEAR = 31_536_000

/** Names of the ways in which a token can be bad. */
export type BadToken =
  | 'expired'
  | 'not yet valid'
  | 'without an end'
  | 'good for ten years'
  | 'from another issuer'
  | 'for another API'
  | 'of another kind'
  | 'without a subject'
  | 'changed'
  | 'signed by a stranger'
  | 'signed by the key it brings'
  | 'not signed'
  | 'signed with the public key'
  | 'no token'

/**
 * Tokens that look like those of the issuer and must open nothing, each for one reason: over, for somebody else, or one of the well-known
 * forgeries (RFC 8725 section 2). `bearer` answers each with 401 `invalid-token`.
 *
 * @example
 * test.each(Object.entries(badTokens(issuer)))('a token that is %s opens nothing', (_why, token) =>
 *   request(app).get('/orders').set('Authorization', `Bearer ${token}`).expect(expectRefused('invalid-token')))
 */
export function badTokens(
  issuer: LocalIssuer,
  claims: Readonly<Record<string, unknown>> = {},
): Readonly<Record<BadToken, string>> {
  const good = issuer.mint(claims)
  const [header, payload, signature] = good.split('.') as [string, string, string]
  const said = decoded(payload)
  const iat = said.iat as number
  const algorithm = decoded(header).alg as KeyAlgorithm
  const stranger = makeKey(algorithm)
  const jwk = createPublicKey(stranger).export({ format: 'jwk' })
  const pem = createPublicKey(issuer.key).export({ type: 'spki', format: 'pem' })
  const with_ = (changed: Record<string, unknown>) => issuer.mint({ ...claims, ...changed })

  return {
    expired: with_({ iat: iat - 2 * HOUR, exp: iat - HOUR }),
    'not yet valid': with_({ iat: iat + HOUR, exp: iat + 2 * HOUR }),
    'without an end': with_({ exp: undefined }),
    'good for ten years': with_({ exp: iat + 10 * YEAR }),
    'from another issuer': with_({ iss: 'https://stranger.test' }),
    'for another API': with_({ aud: 'https://another-api.test' }),
    'of another kind': issuer.mint(claims, { header: { typ: 'JWT' } }),
    'without a subject': with_({ sub: undefined }),
    changed: `${header}.${encoded({ ...said, sub: 'admin' })}.${signature}`,
    'signed by a stranger': issuer.mint(claims, { key: stranger }),
    'signed by the key it brings': issuer.mint(claims, { key: stranger, header: { jwk } }),
    'not signed': issuer.mint(claims, { header: { alg: 'none' } }),
    'signed with the public key': issuer.mint(claims, {
      header: { alg: 'HS256' },
      key: createSecretKey(Buffer.from(String(pem))),
    }),
    'no token': 'eyJhbGciOiJub25lIn0.e30.AA',
  }
}

function decoded(part: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}
