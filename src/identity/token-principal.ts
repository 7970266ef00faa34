import type { Authentication } from '../kernel/authentication.js'
import type { Principal } from '../kernel/context.js'
import { isBound, type Binding } from './binding.js'
import type { Claims, Validity } from './claims.js'
import { factorsOf } from './factor-times.js'

/** By which keys are shown; made once, because all principals share them. */
const BOUND = {
  dpop: Object.freeze(['dpop'] as const),
  mtls: Object.freeze(['mtls'] as const),
  both: Object.freeze(['dpop', 'mtls'] as const),
}

/** ASVS 6.8.1: no issuer can speak for another's subject. An issuer contains no space, so the first one ends it. */
export function tokenPrincipal(
  method: string,
  issuer: string,
  subject: string,
  claims: Claims,
  { issuedAt, expiresAt, binding }: Validity,
): Principal {
  const id = `${issuer} ${subject}`
  const authentication = authenticationOf(claims)
  return Object.freeze({
    ...{ id, subject, issuer, method, accessToken: true as const, claims, issuedAt, expiresAt },
    ...(authentication !== undefined && { authentication }),
    ...(isBound(binding) && { bound: boundBy(binding) }),
  })
}

function boundBy({ jkt, x5t }: Binding): NonNullable<Principal['bound']> {
  if (x5t === undefined) return BOUND.dpop
  return jkt === undefined ? BOUND.mtls : BOUND.both
}

/**
 * RFC 9470 section 5 and RFC 9068 section 2.2.1: `auth_time`, `acr` and `amr`; and the times of methods, as `tokens` says them. What is malformed counts as missing: it opens nothing,
 * and closes only what asks for it.
 */
function authenticationOf({ auth_time: at, acr, amr, amr_times }: Claims): Authentication | undefined {
  if (at === undefined && acr === undefined && amr === undefined) return undefined
  const factors = amr_times === undefined ? undefined : factorsOf(amr_times)
  // What is not always there comes last: V8 gives what begins with a spread and goes on a hidden class of its own.
  return Object.freeze({
    amr: isListOfText(amr) ? amr : NONE,
    ...(typeof at === 'number' && Number.isFinite(at) && { at }),
    ...(typeof acr === 'string' && acr !== '' && { acr }),
    ...(factors !== undefined && { factors }),
  })
}

const NONE: readonly string[] = Object.freeze([])

function isListOfText(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}
