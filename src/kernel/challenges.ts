import { slot, type SecurityContext } from './context.js'

/**
 * How a caller of this request may prove who it is, as values of `WWW-Authenticate` without an error code. `auth` sets
 * it; whoever refuses a caller later (401, or 403 for a missing scope) builds its own challenge on it.
 */
export const challenges = slot<readonly string[]>('challenges')

/** The same, as a refusal has it: where nobody says how to come in, a token would be the way. */
export function challengesOf(ctx: SecurityContext): readonly string[] {
  return ctx.get(challenges) ?? UNKNOWN
}

/** That of one scheme, for who came by it and lacks something; where it is not offered, a token's. */
export function challengeFor(ctx: SecurityContext, scheme: string): string {
  return challengesOf(ctx).find((one) => one.split(' ', 1)[0] === scheme) ?? UNKNOWN[0]
}

const UNKNOWN = ['Bearer realm="api"'] as const
