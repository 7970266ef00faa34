import { endsCleanly } from '../lib/base64url.js'
import { deepFreeze } from '../lib/deep-freeze.js'
import { Generations } from '../lib/generations.js'
import { parseStrictObject } from '../lib/strict-json.js'
import { signingAlgorithms, type SigningAlgorithm } from './algorithms.js'
import type { Claims } from './claims.js'
import type { Fault } from './faults.js'

/** What the header of a token says. Frozen: tokens of one issuer mostly have the same. */
interface TokenHead {
  readonly header: Claims
  readonly algorithm: SigningAlgorithm
  readonly kid: string | undefined
  /** The media type that `typ` names, if it is there. */
  readonly type: string | undefined
}

/** A compact JWS that is well formed and asks for nothing that is not accepted. Nothing in it is verified. */
export interface ReadToken extends TokenHead {
  readonly text: string
  readonly payload: Claims
}

/** RFC 7515 section 3.1: three parts of base64url without padding, none empty. */
const COMPACT = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/

/**
 * Header parameters that would let the token bring its own key or change what is signed (RFC 8725 section 3.10), and
 * `crit`, because no extension is understood here (RFC 7515 section 4.1.11).
 */
const forbidden = ['crit', 'jku', 'x5u', 'x5c', 'jwk', 'b64']

const MAX_KID_LENGTH = 256
/** So many headers are remembered: one for each key that signs, and room for what strangers make up. */
const MAX_HEADS = 64

/** Takes compact JWS apart, strictly: one spelling per token, so that a cache or a block list cannot be sidestepped. */
export class TokenReader {
  private readonly heads = new Generations<string, TokenHead>(MAX_HEADS)

  /** @param types accepted media types of `typ`; `undefined` among them: it may be missing */
  constructor(private readonly types: ReadonlySet<string | undefined>) {}

  read(text: string): ReadToken | Fault {
    const parts = COMPACT.exec(text) as unknown as [string, string, string, string] | null
    if (parts === null) return 'token-malformed'
    const [, first, second, signature] = parts
    if (!endsCleanly(first) || !endsCleanly(second) || !endsCleanly(signature)) return 'token-malformed'

    const head = this.heads.get(first) ?? this.readHead(first)
    if (typeof head === 'string') return head
    const payload = parseStrictObject(Buffer.from(second, 'base64url'))
    if (payload === undefined) return 'token-malformed'
    return {
      text,
      header: head.header,
      algorithm: head.algorithm,
      kid: head.kid,
      type: head.type,
      payload,
    }
  }

  private readHead(encoded: string): TokenHead | Fault {
    const header = parseStrictObject(Buffer.from(encoded, 'base64url'))
    if (header === undefined) return 'token-malformed'

    for (const parameter of forbidden) if (Object.hasOwn(header, parameter)) return 'token-header'
    const { alg, kid, typ } = header
    if (kid !== undefined && (typeof kid !== 'string' || kid === '' || kid.length > MAX_KID_LENGTH))
      return 'token-header'
    if (typeof alg !== 'string' || !Object.hasOwn(signingAlgorithms, alg)) return 'token-algorithm'
    const type = mediaType(typ)
    if (!this.types.has(type)) return 'token-type'

    const head = { header: deepFreeze(header), algorithm: alg as SigningAlgorithm, kid, type }
    // A copy: a part of the token's text would hold on to the whole of it.
    this.heads.set(Buffer.from(encoded, 'latin1').toString('latin1'), head)
    return head
  }
}

/** Whose token this says it is, if it is a JWT. Nothing of it is checked: it decides who judges the token, not how. */
export function claimedIssuer(text: string): string | undefined {
  const payload = COMPACT.exec(text)?.[2]
  if (payload === undefined) return undefined
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
    const iss: unknown = (claims as { iss?: unknown } | null)?.iss
    return typeof iss === 'string' ? iss : undefined
  } catch {
    return undefined
  }
}

/** RFC 7515 section 4.1.9: without regard to case, and `application/` may be left out. */
export function mediaType(typ: unknown): string | undefined {
  if (typ === undefined) return undefined
  // A `typ` of another JSON type is a type of its own, which is never accepted.
  return typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : ''
}
