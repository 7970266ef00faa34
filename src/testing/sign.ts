import { constants, createHmac, sign, type KeyObject } from 'node:crypto'

type Part = Readonly<Record<string, unknown>> | string

/**
 * A compact JWS (RFC 7515 section 3.1) over anything: objects are written as JSON, strings are taken as they are, so that
 * tests can sign what no library would.
 *
 * @param algorithm how to sign, whatever the header claims; `none` leaves the signature empty
 */
export function signToken(header: Part, payload: Part, key: KeyObject, algorithm: string): string {
  const input = `${encode(header)}.${encode(payload)}`
  return `${input}.${signature(Buffer.from(input), key, algorithm).toString('base64url')}`
}

function encode(part: Part): string {
  return Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')
}

function signature(input: Buffer, key: KeyObject, algorithm: string): Buffer {
  const digest = `sha${algorithm.slice(2)}`
  switch (algorithm.slice(0, 2)) {
    case 'HS':
      return createHmac(digest, key).update(input).digest()
    case 'RS':
      return sign(digest, input, key)
    case 'PS':
      return sign(digest, input, {
        key,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
      })
    case 'ES':
      return sign(digest, input, { key, dsaEncoding: 'ieee-p1363' })
    case 'Ed':
      return sign(null, input, key)
    default:
      return Buffer.alloc(0)
  }
}
