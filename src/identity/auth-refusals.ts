import type { Principal, SecurityContext } from '../kernel/context.js'
import { refuse, type Problem } from '../kernel/problem.js'
import { reportRefusal } from '../kernel/refusal.js'
import { extendChallenge } from '../lib/challenge.js'
import type { Lifetimes } from './auth-lifetimes.js'
import { faults } from './faults.js'

/** 401 without an error code: nothing was sent that could be judged (RFC 6750 section 3.1). */
export function unauthenticated(offered: string | readonly string[], rule = 'no-credential'): Problem {
  return refuse('unauthenticated', {
    detail: 'No credential of an accepted kind was sent',
    rule,
    headers: { 'WWW-Authenticate': offered },
  })
}

/** 400: which of the two would count is anybody's guess. */
export function sentTwice(offered: readonly string[]): Problem {
  return refuse('invalid-request', {
    ...because(offered, 'invalid_request', 'More than one Authorization header was sent'),
    rule: 'authorization-twice',
  })
}

/** 400: the caller must say which one it is. */
export function severalSent(offered: readonly string[]): Problem {
  return refuse('invalid-request', {
    ...because(offered, 'invalid_request', 'Credentials of more than one kind were sent'),
    rule: 'credentials-several',
  })
}

/** 401: the credential is good, and still not good enough here. */
export function notGoodEnough(offered: readonly string[], rule: string, detail: string): Problem {
  return refuse('invalid-token', { ...because(offered, 'invalid_token', detail), rule })
}

/** The same for a credential of a method that counts elsewhere. */
export function otherMethod(offered: readonly string[]): Problem {
  return notGoodEnough(offered, 'credential-method', 'This kind of credential is not accepted here')
}

/** A refusal if a credential is good for longer than it may be; one that is only to be reported is put on record. */
export function judgeLifetime(
  ctx: SecurityContext,
  principal: Principal,
  { maxLifetimeSeconds, maxBoundLifetimeSeconds, reportLifetimeSeconds }: Lifetimes,
  offered: readonly string[],
): Problem | undefined {
  const most = principal.bound === undefined ? maxLifetimeSeconds : maxBoundLifetimeSeconds
  if (outlives(principal, most)) return livesTooLong(offered)
  // Where bound ones have a limit of their own, the coming one is not meant for them.
  const spared = most !== maxLifetimeSeconds
  if (!spared && outlives(principal, reportLifetimeSeconds)) reportRefusal(ctx, 'auth', livesTooLong(offered))
  return undefined
}

/** A refusal unless somebody among those who were proven showed a certificate. */
export function judgeCertificate(
  proven: readonly Principal[],
  offered: readonly string[],
): Problem | undefined {
  if (proven.some(({ bound }) => bound?.includes('mtls'))) return undefined
  return notGoodEnough(
    offered,
    'credential-unbound',
    'The credential is not bound to a client certificate, and has to be',
  )
}

function livesTooLong(offered: readonly string[]): Problem {
  return notGoodEnough(offered, 'credential-lifetime', faults['token-lifetime'])
}

/** Whether the credential is good for longer than `maxSeconds`. One that does not say is good for ever. */
function outlives({ issuedAt, expiresAt }: Principal, maxSeconds: number): boolean {
  if (maxSeconds === Infinity) return false
  return issuedAt === undefined || expiresAt === undefined || !(expiresAt - issuedAt <= maxSeconds)
}

/** What a refusal says in its body and, with the error code of RFC 6750 section 3.1, in each challenge. */
export function because(
  offered: string | readonly string[],
  error: string,
  detail: string,
): { detail: string; headers: { 'WWW-Authenticate': string | string[] } } {
  const extended = (one: string) => extendChallenge(one, { error, error_description: detail })
  const challenges = typeof offered === 'string' ? extended(offered) : offered.map(extended)
  return { detail, headers: { 'WWW-Authenticate': challenges } }
}
