import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { endsCleanly } from '../lib/base64url.js'
import { parseStrictObject } from '../lib/strict-json.js'
import type { SigningAlgorithm } from './algorithms.js'
import type { Claims } from './claims.js'
import type { DpopFault } from './dpop-faults.js'
import { usableAlgorithms } from './key-set.js'
import { mediaType } from './token.js'

/** A proof that is well formed. Nothing in it is verified. */
export interface ReadProof {
  readonly text: string
  /** Its header as it was sent: clients send the same one with each proof. */
  readonly head: string
  readonly claims: ProofClaims
}

/** RFC 9449 section 4.2. */
export interface ProofClaims {
  readonly jti: string
  readonly htm: string
  readonly htu: string
  readonly iat: number
  /** Not asked for, but they hold where they are said (RFC 7519 section 4.1). */
  readonly exp: number | undefined
  readonly nbf: number | undefined
  /** Of the access token that comes with it; there is none where one is asked for. */
  readonly ath: string | undefined
  readonly nonce: unknown
}

/** What the header of a proof says. */
export interface ProofHead {
  readonly algorithm: SigningAlgorithm
  /** The members that make the key, and no others. */
  readonly jwk: JsonWebKey
}

const COMPACT = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/
/** Room for an RSA key of 4,096 bits and its signature. */
const MAX_BYTES = 4_096
const MAX_JTI_LENGTH = 256
const MAX_URL_LENGTH = 2_048

/** What would let the proof bring its key from elsewhere, or change what is signed; no extension is understood here. */
const FORBIDDEN = ['crit', 'jku', 'x5u', 'x5c', 'b64']
/** RFC 7518 sections 6.2.2, 6.3.2 and 6.4: whoever sends these has given the key away. */
const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  EC: ['kty', 'crv', 'x', 'y'],
  RSA: ['kty', 'n', 'e'],
  OKP: ['kty', 'crv', 'x'],
}

/** Takes a proof apart, strictly. */
export function readProof(text: string): ReadProof | DpopFault {
  if (text.length > MAX_BYTES) return 'dpop-malformed'
  const parts = COMPACT.exec(text) as unknown as [string, string, string, string] | null
  if (parts === null) return 'dpop-malformed'
  const [, head, payload, signature] = parts
  if (!endsCleanly(head) || !endsCleanly(payload) || !endsCleanly(signature)) return 'dpop-malformed'
  const claims = parseStrictObject(Buffer.from(payload, 'base64url'))
  if (claims === undefined) return 'dpop-malformed'
  return hasClaims(claims) ? { text, head, claims } : 'dpop-claims'
}

/** RFC 9449 section 4.3, checks 4 to 7. */
export function readHead(encoded: string, accepted: readonly SigningAlgorithm[]): ProofHead | DpopFault {
  const header = parseStrictObject(Buffer.from(encoded, 'base64url'))
  if (header === undefined) return 'dpop-malformed'
  if (mediaType(header.typ) !== 'dpop+jwt') return 'dpop-type'
  if (FORBIDDEN.some((parameter) => Object.hasOwn(header, parameter))) return 'dpop-header'
  const algorithm = accepted.find((one) => one === header.alg)
  if (algorithm === undefined) return 'dpop-algorithm'
  const jwk = publicKeyOf(header.jwk)
  return jwk === undefined ? 'dpop-key' : { algorithm, jwk }
}

/** The key of a proof, if its algorithm may be used with it. */
export function importKey({ algorithm, jwk }: ProofHead): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    return usableAlgorithms(key, undefined, [algorithm]).length > 0 ? key : undefined
  } catch {
    return undefined
  }
}

function publicKeyOf(jwk: unknown): JsonWebKey | undefined {
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) return undefined
  const given = jwk as Claims
  if (PRIVATE.some((member) => Object.hasOwn(given, member))) return undefined
  const members =
    typeof given.kty === 'string' && Object.hasOwn(MEMBERS, given.kty) ? MEMBERS[given.kty]! : []
  if (members.length === 0 || members.some((member) => typeof given[member] !== 'string')) return undefined
  return Object.fromEntries(members.map((member) => [member, given[member]]))
}

function hasClaims(claims: Claims): claims is Claims & ProofClaims {
  const { jti, htm, htu, iat, exp, nbf, ath } = claims
  return (
    isText(jti, MAX_JTI_LENGTH) &&
    isText(htm, MAX_JTI_LENGTH) &&
    isText(htu, MAX_URL_LENGTH) &&
    (ath === undefined || isText(ath, MAX_JTI_LENGTH)) &&
    Number.isFinite(iat) &&
    (exp === undefined || Number.isFinite(exp)) &&
    (nbf === undefined || Number.isFinite(nbf))
  )
}

function isText(value: unknown, longest: number): boolean {
  return typeof value === 'string' && value !== '' && value.length <= longest
}
