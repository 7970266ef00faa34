import type { Finding } from '../kernel/stage.js'
import type { CertificateSource } from './client-certificate.js'

const DAY_SECONDS = 86_400

/** A token that is good for long is good for long in the hands of a thief. */
export function lifetimeFinding(method: string, maxLifetimeSeconds: number): Finding[] {
  if (maxLifetimeSeconds <= DAY_SECONDS) return []
  return [
    {
      code: `${method}-long-lifetime`,
      severity: 'medium',
      cause: `${method}.maxLifetimeSeconds is ${maxLifetimeSeconds}: a stolen token is good for that long`,
      fix: 'let clients refresh short access tokens, and set maxLifetimeSeconds to their lifetime',
    },
  ]
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
