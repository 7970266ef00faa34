import type { IncomingMessage } from 'node:http'
import { refuse, type Problem, type ProblemCode } from '../kernel/problem.js'
import { challenge, extendChallenge } from '../lib/challenge.js'
import { dpopFaults, type DpopFault } from './dpop-faults.js'
import type { DpopMode, DpopRules } from './dpop-options.js'
import { faults, type Fault } from './faults.js'
import { realmText } from './realm.js'
import { metadataUrl } from './resource.js'
import { schemeOf, type Scheme } from './sent-token.js'
import { unavailable, type Unavailable } from './unavailable.js'

/** Every way in which an access token is refused, written once at start. */
export interface TokenRefusals {
  /** The challenges without an error code, one for each scheme. */
  readonly offered: readonly string[]
  /** RFC 6750 section 3.1: a request without authentication gets no error code. */
  readonly nothing: () => Problem
  readonly twice: () => Problem
  readonly malformed: (req: IncomingMessage) => Problem
  readonly because: (why: Fault | DpopFault | Unavailable, req: IncomingMessage) => Problem
  /** RFC 9449 section 9: the proof is to be made anew, with this nonce. */
  readonly nonceNeeded: (nonce: string) => Problem
}

/** What challenges say, besides why a request was refused. */
export interface ChallengeFacts {
  readonly realm: unknown
  /** What this API is called by clients; challenges name its metadata (RFC 9728 section 5.1). */
  readonly resource: string | undefined
  readonly mode: DpopMode
  readonly dpop: DpopRules | undefined
}

/** Providers that failed are asked at most once a second: a sooner retry would only meet the same answer. */
const RETRY_AFTER = '1'

type Refusal = () => Problem
type Params = Readonly<Record<string, string | undefined>>

/** @throws ConfigError for a realm that cannot be quoted */
export function tokenRefusals(option: string, facts: ChallengeFacts): TokenRefusals {
  const offered = offeredBy(option, facts)
  const schemes = Object.keys(offered) as Scheme[]
  /** The error stands with the scheme that was used (RFC 9449 section 7.2), if it is offered at all. */
  const headers = (scheme: Scheme, params: Params) => {
    const blamed = scheme in offered ? scheme : schemes[0]!
    const values = schemes.map((one) =>
      one === blamed ? extendChallenge(offered[one]!, params) : offered[one]!,
    )
    return { 'WWW-Authenticate': values.length === 1 ? values[0]! : values }
  }
  const refusal = (
    code: ProblemCode,
    rule: string,
    detail: string,
    error?: string,
  ): Record<Scheme, Refusal> => {
    const of = (scheme: Scheme) => {
      const params = { error, error_description: error && detail }
      const details = { detail, rule, reason: detail, headers: headers(scheme, params) }
      return () => refuse(code, details)
    }
    return { bearer: of('bearer'), dpop: of('dpop') }
  }
  const allOf = (table: Readonly<Record<string, string>>, code: ProblemCode, error: string) =>
    Object.entries(table).map(([rule, text]) => [rule, refusal(code, rule, text, error)])
  const bad = Object.fromEntries([
    ...allOf(faults, 'invalid-token', 'invalid_token'),
    ...allOf(dpopFaults, 'invalid-dpop-proof', 'invalid_dpop_proof'),
  ]) as Record<Fault | DpopFault, Record<Scheme, Refusal>>
  const malformed = refusal(
    'invalid-request',
    'authorization-malformed',
    'The Authorization header is malformed',
    'invalid_request',
  )
  const nonceNeeded = {
    detail: 'The DPoP proof must have the nonce that this server gives',
    rule: 'dpop-nonce',
    headers: headers('dpop', {
      error: 'use_dpop_nonce',
      error_description: 'Resource server requires nonce in DPoP proof',
    }),
  }

  return {
    offered: Object.values(offered),
    nothing: refusal('unauthenticated', 'no-credential', 'No credential of an accepted kind was sent').bearer,
    twice: refusal(
      'invalid-request',
      'authorization-twice',
      'More than one Authorization header was sent',
      'invalid_request',
    ).bearer,
    malformed: (req) => malformed[schemeOf(req)](),
    because: (why, req) =>
      why in unavailable
        ? refuse('identity-provider-unavailable', {
            rule: why,
            reason: unavailable[why as Unavailable],
            headers: { 'Retry-After': RETRY_AFTER },
          })
        : bad[why as Fault | DpopFault][schemeOf(req)](),
    nonceNeeded: (nonce) =>
      refuse('use-dpop-nonce', { ...nonceNeeded, headers: { ...nonceNeeded.headers, 'DPoP-Nonce': nonce } }),
  }
}

/** RFC 9449 section 7.1: `algs` tells which algorithms proofs may be signed with. */
function offeredBy(
  option: string,
  { realm, resource, mode, dpop }: ChallengeFacts,
): Partial<Record<Scheme, string>> {
  const named = { realm: realmText(option, realm) }
  const metadata = { resource_metadata: resource === undefined ? undefined : metadataUrl(resource) }
  return {
    ...(mode !== 'required' && { bearer: challenge('Bearer', { ...named, ...metadata }) }),
    ...(mode !== 'off' &&
      dpop !== undefined && {
        dpop: challenge('DPoP', { ...named, algs: dpop.algorithms.join(' '), ...metadata }),
      }),
  }
}
