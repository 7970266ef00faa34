import { integer } from '../kernel/check.js'
import type { Principal } from '../kernel/context.js'
import { defineStage } from '../kernel/define.js'
import { deepFreeze } from '../lib/deep-freeze.js'
import { Generations } from '../lib/generations.js'
import { Recurring } from '../lib/recurring.js'
import { when } from '../lib/when.js'
import { bearerFindings } from './bearer-findings.js'
import type { BearerIssuer } from './bearer-issuers.js'
import { prepareRules, type BearerOptions } from './bearer-options.js'
import { describedTerms, sharedAndOwn } from './describe-issuers.js'
import type { IssuerTerms } from './issuer-terms.js'
import type { Method } from './method.js'
import { jws } from './signature.js'
import { claimedIssuer } from './token.js'
import { tokenPrincipal } from './token-principal.js'
import { tokenMethod } from './token-method.js'
import { verifyToken, type VerifiedToken } from './verify.js'

export type { BearerOptions } from './bearer-options.js'
export type { IssuerOptions } from './issuers.js'
export type { IssuerTermsOptions } from './issuer-terms.js'
export type { BearerAuth, BearerClaims } from './request-auth.js'

interface Accepted extends VerifiedToken {
  readonly principal: Principal
  readonly terms: IssuerTerms
}

/**
 * Accepts JWT access tokens (RFC 6750, RFC 9068) from the `Authorization` header and from nowhere else. Nothing sent:
 * 401 `unauthenticated`; malformed: 400 `invalid-request`; not valid: 401 `invalid-token`, each with the challenge of
 * RFC 6750 section 3; keys cannot be had: 503 `identity-provider-unavailable` with `Retry-After`; nobody can tell whether it was
 * revoked: 503 `store-unavailable`.
 *
 * @example
 * secureApi({ auth: [bearer({ issuer: 'https://id.example.com', audience: 'https://api.example.com' })] })
 * @throws ConfigError for every option that leaves open who may mint tokens, or for whom
 */
export const bearer = defineStage('bearer', (options: BearerOptions): Omit<Method, 'name'> => {
  const rules = prepareRules(options)
  const { cacheEntries = 10_000, realm = 'api' } = options
  const verified = new Generations<string, Accepted>(integer('bearer.cacheEntries', cacheEntries, { min: 0 }))
  const seen = new Recurring(cacheEntries)
  const issuers = [...rules.issuers.values()]

  return tokenMethod({
    methodName: 'bearer',
    issuers,
    rules,
    insteadOfTwo: 'give one the issuers of both: bearer({ issuers: [{ issuer, audience }, ...] })',
    realm,
    cacheEntries,
    why: 'the access token is valid',
    knows: (token) => rules.issuers.has(claimedIssuer(token) ?? ''),

    known(digest, { services }) {
      const token = verified.get(digest)
      // Good only with the very keys it was verified with: a key that is withdrawn takes its tokens with it.
      return token !== undefined && token.issuer.keys.current(services) === token.set ? token : undefined
    },

    judge(token, digest, { services }) {
      return when(verifyToken(token, rules, services), (outcome) => {
        if (typeof outcome === 'string') return outcome
        deepFreeze(outcome.payload)
        const accepted = acceptedOf(outcome)
        // Kept when it comes again: what is used once must not push out what is used all the time.
        if (seen.again(digest)) verified.set(digest, accepted)
        return accepted
      })
    },

    describe() {
      const { shared, own } = sharedAndOwn(issuers.map(settingsOf))
      return {
        issuers: issuers.map(({ name, audiences, algorithms, keysFrom }, index) => ({
          issuer: name,
          audience: audiences,
          keys: keysFrom,
          algorithms: [...algorithms],
          ...own[index],
        })),
        ...shared,
        maxTokenBytes: rules.maxTokenBytes,
        maxStaleMs: rules.maxStaleMs,
        cacheEntries,
        realm,
        ...(rules.resource !== undefined && { resource: rules.resource }),
      }
    },
    findings: () => bearerFindings(rules),
    ready: async (services) => {
      await Promise.all([jws(), ...issuers.map(async ({ keys }) => keys.ready?.(services))])
    },
    close: () => {
      for (const { keys } of issuers) keys.close?.()
      verified.clear()
    },
  })
})

function settingsOf(issuer: BearerIssuer): Readonly<Record<string, unknown>> {
  return { typ: [...issuer.types].map((type) => type ?? 'none'), ...describedTerms(issuer.terms) }
}

/** Member by member: V8 gives each copy that is spread and then added to a hidden class of its own, and this is read all the time. */
function acceptedOf({ issuer, set, validity, header, payload }: VerifiedToken): Accepted {
  const principal = tokenPrincipal('bearer', issuer.name, payload.sub as string, payload, validity)
  return { issuer, set, validity, header, payload, principal, terms: issuer.terms }
}
