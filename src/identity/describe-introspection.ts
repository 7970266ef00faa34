import type { Finding } from '../kernel/stage.js'
import { describedTerms, sharedAndOwn } from './describe-issuers.js'
import type { IntrospectionIssuer } from './introspection-issuers.js'
import type { IntrospectionRules } from './introspection-options.js'
import { forwardedFinding, lifetimeFinding, loopbackFinding, revocationFinding } from './token-findings.js'

/** How an `introspection` is set, without its secrets. */
export function describeIntrospection(rules: IntrospectionRules, realm: string): object {
  const { issuers, cacheEntries, maxTokenBytes, resource, shown } = rules
  const { shared, own } = sharedAndOwn(issuers.map(settingsOf))
  return {
    issuers: issuers.map(({ name, endpoint, audiences, clientId, proof, prefixes }, index) => ({
      issuer: name,
      endpoint: endpoint ?? 'discovery',
      audience: audiences,
      client: clientId,
      proof,
      ...(prefixes.length > 0 && { prefix: prefixes }),
      ...own[index],
    })),
    ...shared,
    ...(shown && { dangerouslyShowTokensToOthers: true }),
    cacheEntries,
    maxTokenBytes,
    realm,
    ...(resource !== undefined && { resource }),
  }
}

function settingsOf({
  cacheMs,
  maxCalls,
  timeoutMs,
  terms,
}: IntrospectionIssuer): Readonly<Record<string, unknown>> {
  return { cacheMs, maxCalls, timeoutMs, ...describedTerms(terms) }
}

/** What `api.check` says about an `introspection` that accepts more, or says more to others, than it has to. */
export function introspectionFindings(rules: IntrospectionRules): Finding[] {
  return [
    ...shownFinding(rules),
    ...lifetimeFinding('introspection', rules.issuers),
    ...revocationFinding('introspection', rules.issuers),
    ...loopbackFinding('introspection', rules.allowInsecureLoopback),
    ...forwardedFinding('introspection', rules.certificate),
  ]
}

function shownFinding({ shown, issuers }: IntrospectionRules): Finding[] {
  if (!shown) return []
  const asked = issuers.filter(({ prefixes }) => prefixes.length === 0).map(({ name }) => name)
  return [
    {
      code: 'introspection-tokens-shown',
      severity: 'high',
      cause: `introspection.dangerouslyShowTokensToOthers asks ${asked.join(', then ')}: each of them gets tokens of those behind it, and could use them in the place of their owners`,
      fix: 'write the prefix that the tokens of all issuers but one start with, and leave it out',
    },
  ]
}
