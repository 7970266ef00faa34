// Tokens that must not open anything. Each is one well-known attack on JWT.
import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'

/**
 * @param {string} token a good one, to start from
 * @param {{ privateKey: import('node:crypto').KeyObject, keyId: string }} provider whose key signs what only it could sign
 */
export function forgeries(token, { privateKey, keyId }) {
  const [header, payload, signature] = token.split('.')
  const claims = decode(payload)
  const signedHeader = { alg: 'RS256', typ: 'at+jwt', kid: keyId }
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey

  const unsigned = (head, body) => `${encode(head)}.${encode(body)}`
  const signed = (head, body, key) => {
    const input = unsigned(head, body)
    return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`
  }
  const publicKey = createPublicKey(privateKey).export({ format: 'pem', type: 'spki' })
  const confused = unsigned({ ...signedHeader, alg: 'HS256' }, claims)

  return {
    /** The clerk makes an admin of himself and keeps the signature. */
    changed: `${header}.${encode({ ...claims, roles: ['admin'] })}.${signature}`,
    /** Signed by somebody else, under the provider's key id. */
    stranger: signed(signedHeader, claims, stranger),
    /** RFC 8725 section 2.1: `none` says that no signature is needed. */
    none: `${unsigned({ ...signedHeader, alg: 'none' }, claims)}.`,
    /** RFC 8725 section 2.1: the public key, which everybody has, used as the secret of an HMAC. */
    confused: `${confused}.${createHmac('sha256', publicKey).update(confused).digest('base64url')}`,
    /** Good once. */
    expired: signed(
      signedHeader,
      { ...claims, iat: claims.iat - 7_200, exp: claims.iat - 3_600 },
      privateKey,
    ),
    /** RFC 8725 section 2.8: a token of another kind, such as an ID token, from the same provider. */
    otherKind: signed({ ...signedHeader, typ: 'JWT' }, claims, privateKey),
  }
}

function encode(part) {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}

function decode(part) {
  return JSON.parse(Buffer.from(part, 'base64url').toString())
}
