import { defineStage } from '../kernel/define.js'
import { when } from '../lib/when.js'
import { judgeAnswer } from './introspection-answer.js'
import { IntrospectionCache } from './introspection-cache.js'
import { IntrospectionCalls } from './introspection-call.js'
import { prepareIntrospection, type IntrospectionOptions } from './introspection-options.js'
import type { Method } from './method.js'
import { forwardedFinding, lifetimeFinding, loopbackFinding } from './token-findings.js'
import { tokenMethod } from './token-method.js'

export type { ClientOptions } from './client-auth.js'
export type { PrivateKey } from './private-key.js'
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
    const cache = new IntrospectionCache(rules.cacheEntries, rules.cacheMs)
    const calls = new IntrospectionCalls(rules)

    return tokenMethod({
      methodName: 'introspection',
      issuers: [rules.issuer],
      rules,
      realm,
      cacheEntries: rules.cacheEntries,
      why: 'the issuer says that the access token is active',

      known: (digest, { services }, now) => cache.get(digest, services.clock, now),

      judge(token, digest, { services }) {
        const { clock } = services
        return when(calls.ask(token, digest, services), (said) => {
          if (typeof said === 'string') return said
          const answer = judgeAnswer(said, rules)
          cache.set(digest, answer, clock)
          return answer
        })
      },

      describe: () => ({
        issuer: rules.issuer,
        endpoint: rules.endpoint ?? 'discovery',
        audience: rules.audiences,
        client: options.clientId,
        proof: options.privateKey === undefined ? 'client_secret_basic' : 'private_key_jwt',
        cacheMs: rules.cacheMs,
        cacheEntries: rules.cacheEntries,
        maxCalls: rules.maxCalls,
        timeoutMs: rules.timeoutMs,
        maxLifetimeSeconds: rules.maxLifetimeSeconds,
        ...(rules.maxBoundLifetimeSeconds !== rules.maxLifetimeSeconds && {
          maxBoundLifetimeSeconds: rules.maxBoundLifetimeSeconds,
        }),
        clockToleranceSeconds: rules.clockToleranceSeconds,
        maxTokenBytes: rules.maxTokenBytes,
        ...(rules.revocation !== undefined && { revocation: true }),
        realm,
        ...(rules.resource !== undefined && { resource: rules.resource }),
      }),
      findings: () => [
        ...lifetimeFinding('introspection', rules.maxLifetimeSeconds),
        ...loopbackFinding('introspection', rules.allowInsecureLoopback),
        ...forwardedFinding('introspection', rules.certificate),
      ],
      ready: (services) => calls.ready(services),
      close: () => {
        calls.close()
        cache.clear()
      },
    })
  },
)
