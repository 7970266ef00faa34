import type { Principal, SecurityContext } from '../kernel/context.js'
import type { Problem } from '../kernel/problem.js'
import { checkTime, type Validity } from './claims.js'
import type { BearerAuth, BearerRequest } from './request-auth.js'
import type { TokenRefusals } from './token-refusals.js'

/** An access token that is good, but for the time. */
export interface GoodToken extends Omit<BearerAuth, 'token'> {
  readonly validity: Validity
  readonly principal: Principal
}

/** Lets its bearer in, unless its time is over or has not come. */
export function acceptToken(
  ctx: SecurityContext,
  token: string,
  { validity, principal, header, payload }: GoodToken,
  refusals: TokenRefusals,
  toleranceSeconds: number,
): Problem | undefined {
  const fault = checkTime(validity, ctx.services.clock.now() / 1000, toleranceSeconds)
  if (fault !== undefined) return refusals.because(fault)
  ctx.principal = principal
  ;(ctx.req as BearerRequest).auth = { header, payload, token }
  return undefined
}

/** Takes back what a token opened, where another credential was asked for as well and is bad. */
export function forgetToken({ req }: SecurityContext): void {
  delete (req as BearerRequest).auth
}
