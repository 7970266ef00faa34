import type { Finding } from '../kernel/stage.js'
import type { BearerIssuer } from './bearer-issuers.js'
import type { BearerRules } from './bearer-options.js'
import {
  forwardedFinding,
  lifetimeFinding,
  loopbackFinding,
  revocationFinding,
  saidOf,
} from './token-findings.js'

/** What `api.check` says about a `bearer` that accepts more than it has to. */
export function bearerFindings(rules: BearerRules): Finding[] {
  const issuers = [...rules.issuers.values()]
  return [
    ...saidOf(issuers, ({ types }) => types, isUnchecked).map(({ of }): Finding => ({
      code: 'bearer-typ-unchecked',
      severity: 'medium',
      cause: `bearer.typ is false${of}, so an ID token with the same audience passes for an access token`,
      fix: "let the issuer mint at+jwt (RFC 9068), or name the type it uses: typ: 'JWT'",
    })),
    ...saidOf(issuers, ({ keysFrom }) => keysFrom, isShared).map(({ of }): Finding => ({
      code: 'bearer-shared-secret',
      severity: 'medium',
      cause: `bearer.secret${of} can mint tokens, and every API that verifies with it holds it`,
      fix: 'let the issuer sign with a private key, and give its public keys',
    })),
    ...lifetimeFinding('bearer', issuers),
    ...revocationFinding('bearer', issuers),
    ...loopbackFinding('bearer', rules.allowInsecureLoopback),
    ...forwardedFinding('bearer', rules.certificate),
  ]
}

function isUnchecked({ types }: BearerIssuer): boolean {
  return types.has(undefined)
}

function isShared({ keysFrom }: BearerIssuer): boolean {
  return keysFrom === 'secret'
}
