import type { Services } from '../kernel/services.js'
import { isThenable, when } from '../lib/when.js'
import type { BearerIssuer } from './bearer-issuers.js'
import { checkClaims, checkTime, type Validity } from './claims.js'
import type { Fault } from './faults.js'
import type { Issuer } from './issuers.js'
import type { KeySet } from './key-set.js'
import type { Unavailable } from './unavailable.js'
import { isSignedBy } from './signature.js'
import type { ReadToken, TokenReader } from './token.js'

/** Whose tokens are accepted, and how they are read. */
export interface TokenRules {
  readonly issuers: ReadonlyMap<string, BearerIssuer>
  readonly reader: TokenReader
}

/** A token that holds, and the keys it was verified with: it is good only as long as they are. */
export interface VerifiedToken {
  readonly issuer: BearerIssuer
  readonly set: KeySet
  readonly validity: Validity
  readonly header: ReadToken['header']
  readonly payload: ReadToken['payload']
}

/** The keys of which one signed, or why it cannot be said that one did. */
export type Signed = KeySet | Fault | Unavailable

export type Verification = VerifiedToken | Fault | Unavailable

/** A token that could be good: only its signature is open. */
export interface Unsigned {
  readonly token: ReadToken
  readonly issuer: Issuer
  readonly services: Services
}

interface Candidate extends Unsigned {
  readonly issuer: BearerIssuer
  readonly validity: Validity
}

/**
 * The whole check of a token that was not seen before. What costs nothing comes first: form, header, claims and time
 * are judged before a key is looked for, so that only a token that could be good costs a signature check or waits for keys.
 */
export function verifyToken(
  text: string,
  rules: TokenRules,
  services: Services,
): Verification | Promise<Verification> {
  const candidate = preCheck(text, rules, services)
  if (typeof candidate === 'string') return candidate

  const { token, issuer, validity } = candidate
  return when(signingKeys(candidate), (set) =>
    typeof set === 'string' ? set : { issuer, set, validity, header: token.header, payload: token.payload },
  )
}

/** The newest keys of the issuer, if one of them signed the token; else why not. */
export function signingKeys(token: Unsigned): Signed | Promise<Signed> {
  const set = token.issuer.keys.current(token.services)
  if (set === undefined) return askNewer(undefined, token)
  const first = tryKeys(set, token, false)
  if (isThenable(first)) return first.then((late) => late ?? askNewer(set, token))
  return first ?? askNewer(set, token)
}

function preCheck(text: string, rules: TokenRules, services: Services): Candidate | Fault {
  const token = rules.reader.read(text)
  if (typeof token === 'string') return token

  const { iss } = token.payload
  if (typeof iss !== 'string') return 'token-claims'
  const issuer = rules.issuers.get(iss)
  if (issuer === undefined) return 'token-issuer'
  // The reader let in what any of them uses.
  if (!issuer.types.has(token.type)) return 'token-type'
  if (!issuer.algorithms.has(token.algorithm)) return 'token-algorithm'

  const validity = checkClaims(token.payload, issuer.audiences, issuer.terms)
  if (typeof validity === 'string') return validity
  return (
    checkTime(validity, services.clock.now() / 1000, issuer.terms.clockToleranceSeconds) ?? {
      token,
      issuer,
      validity,
      services,
    }
  )
}

/** `undefined` if a newer set may have the key. */
function tryKeys(
  set: KeySet,
  { token, issuer, services }: Unsigned,
  newest: boolean,
): KeySet | Fault | undefined | Promise<KeySet | Fault | undefined> {
  const { candidates, final } = set.lookup(token.kid, token.algorithm)

  return when(isSignedBy(candidates, token), (signed) => {
    if (signed) return set
    if (!final && !newest && issuer.keys.newer !== undefined) return undefined
    if (candidates.length > 0) return 'token-signature'
    issuer.keys.suspect?.(services)
    return 'token-key'
  })
}

async function askNewer(tried: KeySet | undefined, unsigned: Unsigned): Promise<Signed> {
  const { token, issuer, services } = unsigned
  const set = await issuer.keys.newer!(services, (newer) =>
    token.kid === undefined ? newer !== tried : newer.lookup(token.kid, token.algorithm).final,
  )
  if (typeof set === 'string') return set
  return (await tryKeys(set, unsigned, true)) ?? 'token-key'
}
