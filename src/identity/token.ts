import { decodeBase64url } from '../lib/base64url.js'
import { parseStrictObject } from '../lib/strict-json.js'
import { signingAlgorithms, type SigningAlgorithm } from './algorithms.js'
import type { Fault } from './faults.js'

/** A compact JWS that is well formed and asks for nothing that is not accepted. Nothing in it is verified. */
export interface ReadToken {
  readonly text: string
  readonly header: Readonly<Record<string, unknown>>
  readonly payload: Readonly<Record<string, unknown>>
  readonly algorithm: SigningAlgorithm
  readonly kid: string | undefined
}

/**
 * Header parameters that would let the token bring its own key or change what is signed (RFC 8725 section 3.10), and
 * `crit`, because no extension is understood here (RFC 7515 section 4.1.11).
 */
const forbidden = ['crit', 'jku', 'x5u', 'x5c', 'jwk', 'b64']

const MAX_KID_LENGTH = 256

/** Takes a compact JWS apart, strictly: one spelling per token, so that a cache or a block list cannot be sidestepped. */
export function readToken(text: string, types: ReadonlySet<string | undefined>): ReadToken | Fault {
  const parts = text.split('.', 4)
  if (parts.length !== 3 || parts.includes('')) return 'token-malformed'
  const [header, payload, signature] = parts.map(decodeBase64url)
  if (header === undefined || payload === undefined || signature === undefined) return 'token-malformed'

  const head = parseStrictObject(header)
  const body = parseStrictObject(payload)
  if (head === undefined || body === undefined) return 'token-malformed'

  for (const parameter of forbidden) if (Object.hasOwn(head, parameter)) return 'token-header'
  const { alg, kid, typ } = head
  if (kid !== undefined && (typeof kid !== 'string' || kid === '' || kid.length > MAX_KID_LENGTH))
    return 'token-header'
  if (typeof alg !== 'string' || !Object.hasOwn(signingAlgorithms, alg)) return 'token-algorithm'
  if (!types.has(mediaType(typ))) return 'token-type'

  return { text, header: head, payload: body, algorithm: alg as SigningAlgorithm, kid }
}

/** RFC 7515 section 4.1.9: without regard to case, and `application/` may be left out. */
export function mediaType(typ: unknown): string | undefined {
  if (typ === undefined) return undefined
  // A `typ` of another JSON type is a type of its own, which is never accepted.
  return typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : ''
}
