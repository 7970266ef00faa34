import { hash } from 'node:crypto'
import { challenges } from '../kernel/challenges.js'
import type { SecurityContext } from '../kernel/context.js'
import { defineStage } from '../kernel/define.js'
import { when } from '../lib/when.js'
import { acceptToken, forgetToken, type Acceptance } from './accept-token.js'
import type { Fault } from './faults.js'
import { judgeAnswer, type ActiveToken } from './introspection-answer.js'
import { IntrospectionCache } from './introspection-cache.js'
import { IntrospectionCalls } from './introspection-call.js'
import { prepareIntrospection, type IntrospectionOptions } from './introspection-options.js'
import type { Method } from './method.js'
import { BEARER, hasToken, sentToken } from './sent-token.js'
import { lifetimeFinding, loopbackFinding } from './token-findings.js'
import { tokenRefusals } from './token-refusals.js'

export type { ClientOptions, PrivateKey } from './client-auth.js'
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
    const refusals = tokenRefusals('introspection.realm', realm, rules.resource)
    const cache = new IntrospectionCache(rules.cacheEntries, rules.cacheMs)
    const calls = new IntrospectionCalls(rules)
    const offered = [refusals.offered]

    const acceptance: Acceptance = {
      refusals,
      toleranceSeconds: rules.clockToleranceSeconds,
      revocation: rules.revocation,
      why: 'the issuer says that the access token is active',
    }

    const settle = (ctx: SecurityContext, token: string, answer: ActiveToken | Fault) =>
      typeof answer === 'string' ? refusals.because(answer) : acceptToken(ctx, token, answer, acceptance)

    return {
      gives: ['principal'],
      methodName: 'introspection',
      credential: BEARER,
      recognises: ({ req }) => hasToken(req),
      challenge: () => refusals.offered,
      ...(rules.resource !== undefined && { resource: { url: rules.resource, issuers: [rules.issuer] } }),

      enter(ctx) {
        ctx.principal = undefined
        ctx.set(challenges, offered)
        const token = sentToken(ctx.req, refusals, rules.maxTokenBytes)
        if (typeof token !== 'string') return token

        const { clock } = ctx.services
        const digest = hash('sha256', token, 'binary')
        const known = cache.get(digest, clock)
        if (known !== undefined) return settle(ctx, token, known)
        return when(calls.ask(token, digest, ctx.services), (said) => {
          if (typeof said === 'string') return refusals.because(said)
          const answer = judgeAnswer(said, rules)
          cache.set(digest, answer, clock)
          return settle(ctx, token, answer)
        })
      },

      forget: forgetToken,

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
        clockToleranceSeconds: rules.clockToleranceSeconds,
        maxTokenBytes: rules.maxTokenBytes,
        ...(rules.revocation !== undefined && { revocation: true }),
        realm,
        ...(rules.resource !== undefined && { resource: rules.resource }),
      }),
      findings: () => [
        ...lifetimeFinding('introspection', rules.maxLifetimeSeconds),
        ...loopbackFinding('introspection', rules.allowInsecureLoopback),
      ],
      ready: (services) => calls.ready(services),
      close: () => {
        calls.close()
        cache.clear()
        return Promise.resolve()
      },
    }
  },
)
