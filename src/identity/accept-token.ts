import type { Principal, SecurityContext } from '../kernel/context.js'
import type { Later } from '../kernel/ports.js'
import type { Problem } from '../kernel/problem.js'
import { when } from '../lib/when.js'
import { checkTime, type Validity } from './claims.js'
import type { IssuerTerms } from './issuer-terms.js'
import type { Possession } from './possession.js'
import type { BearerAuth, BearerRequest } from './request-auth.js'
import { readAnswer, type Revocation, type Revoked } from './revocation.js'
import { whenStored } from '../kernel/store-away.js'
import type { TokenRefusals } from './token-refusals.js'

/** An access token that is good, but for the time and for what was revoked. */
export interface GoodToken extends Omit<BearerAuth, 'token'> {
  /** What its issuer's tokens have to be. */
  readonly terms: IssuerTerms
  readonly validity: Validity
  readonly principal: Principal
}

/** What is asked of a good token each time. */
export interface Acceptance {
  readonly refusals: TokenRefusals
  readonly possession: Possession
  /** What the trace says of one that is let in. */
  readonly why: string
}

/**
 * Lets its bearer in, unless its time is over or has not come, its key was not shown, or it was revoked.
 *
 * @param now milliseconds since 1970
 */
export function acceptToken(
  ctx: SecurityContext,
  token: string,
  digest: string,
  good: GoodToken,
  acceptance: Acceptance,
  now: number,
): Later<Problem | undefined> {
  const { refusals, possession, why } = acceptance
  const { validity, principal, terms } = good
  const { revocation } = terms
  const fault = checkTime(validity, now / 1000, terms.clockToleranceSeconds)
  if (fault !== undefined) return refusals.because(fault, ctx.req)
  return when(possession.check(ctx, digest, validity.binding, terms), (unproven) => {
    if (unproven !== undefined || revocation === undefined) return unproven ?? letIn(ctx, token, good, why)
    return whenStored(askedOf(revocation, ctx, principal), AWAY, (said) => {
      const revoked = readAnswer(said)
      return revoked === undefined
        ? letIn(ctx, token, good, why)
        : turnAway(ctx, principal, revoked, refusals)
    })
  })
}

const AWAY = 'The store of the revocations cannot be reached'

function letIn(
  ctx: SecurityContext,
  token: string,
  { principal, header, payload }: GoodToken,
  why: string,
): undefined {
  ctx.principal = principal
  ;(ctx.req as BearerRequest).auth = { header, payload, token }
  ctx.note('token', why)
  return undefined
}

function askedOf(
  revocation: Revocation,
  { services }: SecurityContext,
  { issuer, subject, issuedAt, claims: { jti, sid } }: Principal,
): ReturnType<Revocation['check']> {
  const credential = {
    issuer: issuer!,
    subject,
    jti: textOrNone(jti),
    sid: textOrNone(sid),
    issuedAt: issuedAt!,
  }
  return revocation.check(credential, services)
}

function textOrNone(claim: unknown): string | undefined {
  return typeof claim === 'string' && claim !== '' ? claim : undefined
}

function turnAway(
  ctx: SecurityContext,
  { id, claims }: Principal,
  revoked: Revoked,
  refusals: TokenRefusals,
): Problem {
  // Somebody still has it: a client that was not told, or a thief. Either way somebody should know.
  ctx.record(revoked, { subject: id, sid: textOrNone(claims.sid) })
  return refusals.because(revoked, ctx.req)
}

/** Takes back what a token opened, where another credential was asked for as well and is bad. */
export function forgetToken({ req }: SecurityContext): void {
  delete (req as BearerRequest).auth
}
