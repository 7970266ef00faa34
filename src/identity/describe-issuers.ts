import { isDeepStrictEqual } from 'node:util'
import type { IssuerTerms } from './issuer-terms.js'

type Settings = Readonly<Record<string, unknown>>

/** What is not said of an issuer unless others differ from it. */
const USUAL: Settings = { revocation: false, certificateBound: false, dpop: 'off' }

/** Terms as `describe` shows them. */
export function describedTerms(terms: IssuerTerms): Settings {
  const { maxLifetimeSeconds, maxBoundLifetimeSeconds, clockToleranceSeconds, certificateBound, dpop } = terms
  return {
    maxLifetimeSeconds,
    maxBoundLifetimeSeconds,
    clockToleranceSeconds,
    revocation: terms.revocation !== undefined,
    certificateBound,
    dpop,
  }
}

/** Settings of issuers, each said once: those that all share, and with each issuer those in which they differ. */
export function sharedAndOwn(issuers: readonly Settings[]): {
  shared: Settings
  own: readonly Settings[]
} {
  const first = issuers[0]!
  const isShared = (key: string) => issuers.every((one) => isDeepStrictEqual(one[key], first[key]))
  const pick = (one: Settings, wanted: (key: string) => boolean) =>
    Object.fromEntries(Object.entries(one).filter(([key]) => wanted(key)))
  const isSaid = (key: string) => isShared(key) && !(key in USUAL && USUAL[key] === first[key])
  return {
    shared: boundOnce(pick(first, isSaid)),
    own: issuers.map((one) => boundOnce(pick(one, (key) => !isShared(key)))),
  }
}

/** A limit for bound tokens that is the one for all is no news. */
function boundOnce({ maxBoundLifetimeSeconds, ...others }: Settings): Settings {
  return maxBoundLifetimeSeconds === undefined || maxBoundLifetimeSeconds === others.maxLifetimeSeconds
    ? others
    : { ...others, maxBoundLifetimeSeconds }
}
