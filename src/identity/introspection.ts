import { defineStage } from '../kernel/define.js'
import { when } from '../lib/when.js'
import { describeIntrospection, introspectionFindings } from './describe-introspection.js'
import { GoodAnswers } from './introspection-cache.js'
import { askInTurn, IntrospectionDesk } from './introspection-desk.js'
import { deskFinder } from './introspection-finder.js'
import { prepareIntrospection, type IntrospectionOptions } from './introspection-options.js'
import type { Method } from './method.js'
import { tokenMethod } from './token-method.js'
import { unavailable } from './unavailable.js'

export type { ClientOptions } from './client-auth.js'
export type { PrivateKey } from './private-key.js'
export type { IntrospectionIssuerOptions } from './introspection-issuers.js'
export type { IntrospectionOptions } from './introspection-options.js'

/**
 * Accepts opaque access tokens (RFC 6750) from the `Authorization` header, of which their issuer says that they are active
 * (RFC 7662). Refuses as `bearer` does: 401 `unauthenticated`, 400 `invalid-request`, 401 `invalid-token`; if the issuer cannot
 * be asked, 503 `identity-provider-unavailable` with `Retry-After`. Beside `bearer`, JWTs of its issuers are its own.
 *
 * @example
 * introspection({ issuer: 'https://id.example.com', audience: 'https://api.example.com', clientId: 'orders', clientSecret })
 * @throws ConfigError for every option that leaves open whose tokens are accepted, or for whom
 */
export const introspection = defineStage(
  'introspection',
  (options: IntrospectionOptions): Omit<Method, 'name'> => {
    const rules = prepareIntrospection(options)
    const { realm = 'api' } = options
    const { issuers, cacheEntries } = rules
    const good = new GoodAnswers(cacheEntries)
    const desks = issuers.map((issuer) => {
      const port = issuers.length === 1 ? 'introspection' : `introspection at ${issuer.name}`
      return new IntrospectionDesk(issuer, port, Math.ceil(cacheEntries / issuers.length))
    })
    const desksFor = deskFinder(rules, desks)

    return tokenMethod({
      methodName: 'introspection',
      issuers,
      rules,
      insteadOfTwo:
        'give one the issuers of both: introspection({ issuers: [{ issuer, audience, clientId, clientSecret, prefix }, ...] })',
      realm,
      cacheEntries,
      why: 'the issuer says that the access token is active',

      known: (digest, { services }, now) => good.get(digest, services.clock, now),

      judge(token, digest, { services }) {
        return when(askInTurn(desksFor(token), token, digest, services), (said) => {
          if (typeof said !== 'string') {
            good.set(digest, said.good, services.clock, said.desk.issuer.cacheMs)
            return said.good
          }
          if (!(said in unavailable)) good.delete(digest)
          return said
        })
      },

      describe: () => describeIntrospection(rules, realm),
      findings: () => introspectionFindings(rules),
      ready: async (services) => {
        await Promise.all(desks.map((desk) => desk.ready(services)))
      },
      close: () => {
        for (const desk of desks) desk.close()
        good.clear()
      },
    })
  },
)
