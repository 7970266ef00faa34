import { boolean, integer } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { Lifetimes } from './claims.js'
import { dpopMode, type DpopMode } from './dpop-options.js'
import { checkRevocation, type Revocation } from './revocation.js'

/** What may be said of the tokens of one issuer. What an entry of `issuers` leaves out is as it stands beside the list. */
export interface IssuerTermsOptions {
  /** Longest accepted time from `iat` to `exp`, in seconds. Default 86,400, a day. Longer, or without either: 401 `invalid-token`. */
  maxLifetimeSeconds?: number
  /**
   * The same for tokens that are bound to a key of the client, of which a thief has no use. Default: `maxLifetimeSeconds`. Longer: 401
   * `invalid-token`.
   */
  maxBoundLifetimeSeconds?: number
  /** How far the clocks of issuer and API may differ, in seconds, for `exp`, `nbf` and `iat`. Default 60, at most 300. */
  clockToleranceSeconds?: number
  /**
   * What was revoked, as `revocations({ store })` keeps it: read for each token, by one question. Default: none, and a token is as good as
   * its issuer says; in `issuers`, `false` asks nobody. Revoked, itself or with its session or subject: 401 `invalid-token`. The store is
   * away: 503 `store-unavailable`.
   */
  revocation?: Revocation | false
  /** Accepts only tokens that are bound to a client certificate (RFC 8705). Default false. Others: 401 `invalid-token`. */
  certificateBound?: boolean
  /**
   * Whether tokens come with a proof that the client has the key they are bound to (RFC 9449): `'required'`, `'allowed'` or `'off'`. Default
   * `'off'`. A bound token without a proof that counts, and where it is required one that is not bound: 401 `invalid-token`; a bad proof 401
   * `invalid-dpop-proof`.
   */
  dpop?: DpopMode
}

/** The same, checked: what holds for every token of one issuer. Prepared at start, because it is read for each request. */
export interface IssuerTerms extends Lifetimes {
  readonly clockToleranceSeconds: number
  readonly revocation: Revocation | undefined
  readonly certificateBound: boolean
  readonly dpop: DpopMode
}

export const TERMS = [
  'maxLifetimeSeconds',
  'maxBoundLifetimeSeconds',
  'clockToleranceSeconds',
  'revocation',
  'certificateBound',
  'dpop',
] as const satisfies readonly (keyof IssuerTermsOptions)[]

/** Terms that protect: one that is there and `undefined` is a slip. */
export const PROTECTING = ['revocation', 'certificateBound', 'dpop']

/**
 * @param around what stands beside the list, checked before; `undefined` for that itself
 * @throws ConfigError for every term that breaks its rule
 */
export function prepareTerms(
  option: string,
  own: IssuerTermsOptions,
  around?: IssuerTermsOptions,
): IssuerTerms {
  const said = (name: keyof IssuerTermsOptions, usual: unknown): unknown =>
    [own[name], around?.[name], usual].find((one) => one !== undefined)
  const whole = (name: keyof IssuerTermsOptions, usual: number, bounds?: { min?: number; max?: number }) =>
    integer(`${option}.${name}`, said(name, usual), bounds)
  const maxLifetimeSeconds = whole('maxLifetimeSeconds', 86_400)
  const isNone = own.revocation === false && around !== undefined
  return {
    maxLifetimeSeconds,
    maxBoundLifetimeSeconds: whole('maxBoundLifetimeSeconds', maxLifetimeSeconds),
    clockToleranceSeconds: whole('clockToleranceSeconds', 60, { min: 0, max: 300 }),
    revocation: isNone
      ? undefined
      : checkRevocation(`${option}.revocation`, said('revocation', undefined) as Revocation | undefined),
    certificateBound: boolean(`${option}.certificateBound`, said('certificateBound', false)),
    dpop: ownMode(`${option}.dpop`, said('dpop', 'off')),
  }
}

function ownMode(option: string, mode: unknown): DpopMode {
  if (typeof mode !== 'object' || mode === null) return dpopMode(option, mode)
  throw new ConfigError(
    `${option} must be one of 'required', 'allowed', 'off', got an object: how proofs are checked is the same for all issuers, and stands beside the list`,
  )
}
