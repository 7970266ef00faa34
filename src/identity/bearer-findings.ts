import type { Finding } from '../kernel/stage.js'
import type { BearerRules } from './bearer-options.js'
import { forwardedFinding, lifetimeFinding, loopbackFinding } from './token-findings.js'

/** What `api.check` says about a `bearer` that accepts more than it has to. */
export function bearerFindings(rules: BearerRules): Finding[] {
  const findings: Finding[] = []
  const issuers = [...rules.issuers.values()]

  if (rules.types.has(undefined)) {
    findings.push({
      code: 'bearer-typ-unchecked',
      severity: 'medium',
      cause: 'bearer.typ is false, so an ID token with the same audience passes for an access token',
      fix: "let the issuer mint at+jwt (RFC 9068), or name the type it uses: typ: 'JWT'",
    })
  }
  if (issuers.some(({ keysFrom }) => keysFrom === 'secret')) {
    findings.push({
      code: 'bearer-shared-secret',
      severity: 'medium',
      cause: 'bearer.secret can mint tokens, and every API that verifies with it holds it',
      fix: 'let the issuer sign with a private key, and give its public keys',
    })
  }
  return [
    ...findings,
    ...lifetimeFinding('bearer', rules.maxLifetimeSeconds),
    ...loopbackFinding('bearer', rules.allowInsecureLoopback),
    ...forwardedFinding('bearer', rules.certificate),
  ]
}
