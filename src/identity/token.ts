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

/**
 * What somebody could turn into a compact JWS, such as one with padding: it is refused, but by its own issuer, because
 * whoever else is shown it could do so.
 */
const ALMOST_COMPACT = /^([^.]+)\.([^.]+)\.[^.]*$/

/**
 * Whose token this says it is, if it is a JWT: its header is an object as well, so that a JWT inside of an opaque token says nothing.
 * Nothing of it is checked: it decides who judges the token, not how.
 */
export function claimedIssuer(text: string): string | undefined {
  const parts = ALMOST_COMPACT.exec(text)
  if (parts === null) return undefined
  const iss = memberOf(parts[2]!, 'iss')
  return typeof iss === 'string' && memberOf(parts[1]!, 'alg') !== undefined ? iss : undefined
}

function memberOf(encoded: string, name: string): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(encoded, 'base64url').toString('utf8'))
    return (value as Record<string, unknown> | null)?.[name]
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
