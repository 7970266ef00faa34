import { isDeepStrictEqual } from 'node:util'
import type { Finding } from '../kernel/stage.js'
import type { CertificateSource } from './client-certificate.js'
import type { IssuerTerms } from './issuer-terms.js'

const DAY_SECONDS = 86_400

interface Issued {
  readonly name: string
  readonly terms: IssuerTerms
}

/** Those issuers of which something is to be said, and how to say whom it is about: nothing if it is the same for all. */
export function saidOf<T extends Issued>(
  issuers: readonly T[],
  setting: (one: T) => unknown,
  isSaid: (one: T) => boolean,
): { one: T; of: string }[] {
  const said = issuers.filter(isSaid)
  const isSame = (one: T) => isDeepStrictEqual(setting(one), setting(said[0]!))
  if (said.length === issuers.length && said.every(isSame)) return [{ one: said[0]!, of: '' }]
  return said.map((one) => ({ one, of: ` for ${one.name}` }))
}

/** A token that is good for long is good for long in the hands of a thief. */
export function lifetimeFinding(method: string, issuers: readonly Issued[]): Finding[] {
  const seconds = ({ terms }: Issued) => terms.maxLifetimeSeconds
  return saidOf(issuers, seconds, (one) => seconds(one) > DAY_SECONDS).map(({ one, of }) => ({
    code: `${method}-long-lifetime`,
    severity: 'medium',
    cause: `${method}.maxLifetimeSeconds is ${seconds(one)}${of}: a stolen token is good for that long`,
    fix: 'let clients refresh short access tokens, and set maxLifetimeSeconds to their lifetime',
  }))
}

/** Whoever logs out a user everywhere does not think of the one issuer for which nobody asks. */
export function revocationFinding(method: string, issuers: readonly Issued[]): Finding[] {
  const unasked = issuers.filter(({ terms }) => terms.revocation === undefined)
  if (unasked.length === issuers.length) return []
  return unasked.map(({ name }) => ({
    code: `${method}-revocation-off`,
    severity: 'low',
    cause: `${method}.revocation is not asked for ${name}, and for others it is: tokens of that issuer are good whatever was revoked here`,
    fix: 'give all issuers the same revocation, unless nothing of that issuer is ever revoked here',
  }))
}

/** A certificate is no secret: whoever can write the field is everybody. */
export function forwardedFinding(method: string, source: CertificateSource): Finding[] {
  if (source === 'socket') return []
  return [
    {
      code: `${method}-certificate-forwarded`,
      severity: 'low',
      cause: `${method}.certificate believes what a declared proxy writes into ${source}, and certificates are no secrets`,
      fix: 'give trustProxy the ranges of the proxies, and let them take the field away from what clients send',
    },
  ]
}

export function loopbackFinding(method: string, allowInsecureLoopback: boolean): Finding[] {
  if (!allowInsecureLoopback) return []
  return [
    {
      code: `${method}-insecure-loopback`,
      severity: 'low',
      cause: `${method}.allowInsecureLoopback believes what is said over http on this machine`,
      fix: 'leave it out where the API serves real users',
    },
  ]
}
