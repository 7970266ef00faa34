import { isBound, readBinding, type Binding } from './binding.js'
import type { Fault } from './faults.js'

/** The span of time in which a token is good, in seconds since 1970, and what it is worth nothing without. */
export interface Validity {
  readonly issuedAt: number
  readonly notBefore: number | undefined
  readonly expiresAt: number
  readonly binding: Binding
}

/** How long tokens may be good, in seconds from `iat` to `exp`. */
export interface Lifetimes {
  readonly maxLifetimeSeconds: number
  /** The same for tokens that are bound to a key: a stolen one is worth nothing. */
  readonly maxBoundLifetimeSeconds: number
}

export type Claims = Readonly<Record<string, unknown>>

/** RFC 9068 sections 2.2 and 4, apart from `iss`, which chose the audiences. Gives the span in which the token is good. */
export function checkClaims(
  claims: Claims,
  expected: readonly string[],
  lifetimes: Lifetimes,
): Validity | Fault {
  const { aud, sub, exp, iat, nbf, client_id: clientId, jti, cnf } = claims
  if (!isText(sub) || !isTextOrAbsent(clientId) || !isTextOrAbsent(jti)) return 'token-claims'
  if (!isNumericDate(exp) || !isNumericDate(iat) || !(nbf === undefined || isNumericDate(nbf)))
    return 'token-claims'

  const audiences = typeof aud === 'string' ? [aud] : aud
  if (!isListOfText(audiences)) return 'token-claims'
  if (!expected.some((ours) => audiences.includes(ours))) return 'token-audience'

  // RFC 9449 section 7.1 and RFC 8705 section 3: whoever stole a bound token must not be able to use it as a bearer's.
  const binding = readBinding(cnf)
  if (binding === undefined) return 'token-bound'

  const lifetime = exp - iat
  if (lifetime <= 0) return 'token-claims'
  if (lifetime > (isBound(binding) ? lifetimes.maxBoundLifetimeSeconds : lifetimes.maxLifetimeSeconds))
    return 'token-lifetime'
  return { issuedAt: iat, notBefore: nbf, expiresAt: exp, binding }
}

/** Whether the token is good now. Also asked for tokens that were verified before. */
export function checkTime(
  { issuedAt, notBefore = issuedAt, expiresAt }: Validity,
  nowSeconds: number,
  toleranceSeconds: number,
): Fault | undefined {
  if (nowSeconds >= expiresAt + toleranceSeconds) return 'token-expired'
  if (nowSeconds + toleranceSeconds < Math.max(notBefore, issuedAt)) return 'token-not-yet-valid'
  return undefined
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function isTextOrAbsent(value: unknown): boolean {
  return value === undefined || isText(value)
}

function isListOfText(value: unknown): value is string[] {
  return Array.isArray(value) && value.length > 0 && value.every(isText)
}

/** RFC 7519 section 2. JSON can spell numbers, such as 1e400, that are read as infinity. */
function isNumericDate(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}
