import type { SecurityContext } from '../kernel/context.js'
import { defineHandler, type HandlerReply } from '../kernel/handler.js'
import type { HandlerBody } from '../kernel/handler-body.js'
import { isProblem, refuse, type Problem } from '../kernel/problem.js'
import type { Middleware } from '../kernel/stage.js'
import { when } from '../lib/when.js'
import { prepareRules, type BearerOptions } from './bearer-options.js'
import { FAMILIES, familyKey, parseRefreshToken, readFamily } from './refresh-token.js'
import { endLogin, refreshTokens } from './refresh-tokens.js'
import { whenStored } from '../kernel/store-away.js'
import { tokenError } from './token-errors.js'
import { tokensMetadata, type TokenEndpoints } from './tokens-metadata.js'
import type { TokensRules } from './tokens-options.js'
import { unavailable } from './unavailable.js'
import { verifyToken } from './verify.js'

/** The endpoints of an issuer, each to be mounted by one line. */
export interface TokenHandlers {
  /** The token endpoint (RFC 6749 section 6): `grant_type=refresh_token`, as a form. For clients that speak OAuth. */
  readonly token: Middleware
  /** The same as JSON: `{ "refresh_token": "..." }`. For clients of your own. */
  readonly refresh: Middleware
  /** Revokes a refresh token, and its login with it, or an access token (RFC 7009). As a form or as JSON. */
  readonly revoke: Middleware
  /** The public keys (RFC 7517 section 5). */
  readonly jwks: Middleware
  /**
   * The metadata of the issuer (RFC 8414), for `/.well-known/oauth-authorization-server`, so that `bearer({ issuer, audience })` of other
   * services and clients of OAuth find the rest. It says of the endpoints what it is told here, because only you know where they are.
   *
   * @example
   * app.get('/.well-known/oauth-authorization-server', own.metadata({ token: '/token', revoke: '/revoke' }))
   * @throws ConfigError where `issuer` or an endpoint is no https URL; http is for this machine alone
   */
  metadata(endpoints?: TokenEndpoints): Middleware
}

/** Far above any token of ours. */
const MAX_BODY_BYTES = 16_384
/** How long others may use the keys without asking again: less than any key is announced. */
const JWKS_HEADERS = { 'Cache-Control': 'public, max-age=300' }
const AWAY = 'The store of the tokens cannot be reached'

export function tokenHandlers(
  rules: TokensRules,
  bearerOptions: BearerOptions,
): TokenHandlers & { close: () => void } {
  const verifying = prepareRules(bearerOptions)
  const post = { methods: ['POST'] as const, maxBodyBytes: MAX_BODY_BYTES, refused: tokenError }

  const refreshed = (ctx: SecurityContext, body: HandlerBody) => {
    const { refresh_token: token, scope, client_id: clientId } = body
    if (!isGiven(token)) return missing('refresh_token')
    if (!isOptional(scope)) return missing('scope')
    if (!isOptional(clientId)) return missing('client_id')
    return when(rules.clientKeys.shownBy(ctx), (jkt) => {
      if (isProblem(jkt)) return jkt
      const request = { token, scope: scope || undefined, clientId: clientId || undefined, jkt }
      return whenStored(refreshTokens(rules, request, ctx), AWAY, replied)
    })
  }

  /** Whether there was something to be ended is not said: RFC 7009 section 2.2. */
  const revoked = async (ctx: SecurityContext, text: string): Promise<HandlerReply | Problem> => {
    const token = parseRefreshToken(text)
    if (token !== undefined) {
      const found = await rules.records.get(FAMILIES, familyKey(rules, token))
      if (found === undefined) return {}
      const family = readFamily(found)
      await endLogin(rules, token, family)
      ctx.record('tokens-revoked', {
        severity: 'info',
        what: 'login',
        subject: family.subject,
        sid: family.sid,
      })
      return {}
    }
    const verified = await verifyToken(text, verifying, ctx.services)
    if (typeof verified === 'string') {
      return verified in unavailable
        ? refuse('identity-provider-unavailable', { rule: verified, headers: { 'Retry-After': '1' } })
        : {}
    }
    const { jti, exp, sub, sid } = verified.payload
    await rules.revocation.revokeToken(rules.issuer, jti as string, exp as number)
    ctx.record('tokens-revoked', { severity: 'info', what: 'access-token', subject: sub, sid })
    return {}
  }

  return {
    token: defineHandler('tokens', {
      ...post,
      body: ['form'],
      answer(ctx, body) {
        if (!isGiven(body.grant_type)) return missing('grant_type')
        if (body.grant_type !== 'refresh_token')
          return refuse('unsupported-grant-type', { rule: 'grant-type' })
        return refreshed(ctx, body)
      },
    }),
    refresh: defineHandler('tokens', { ...post, body: ['json'], answer: refreshed }),
    revoke: defineHandler('tokens', {
      ...post,
      body: ['form', 'json'],
      answer: (ctx, { token }) =>
        isGiven(token) ? whenStored(revoked(ctx, token), AWAY, (reply) => reply) : missing('token'),
    }),
    jwks: defineHandler('tokens', {
      methods: ['GET'],
      answer: () =>
        whenStored(rules.keys.published(), AWAY, (keys) => ({ json: { keys }, headers: JWKS_HEADERS })),
    }),
    metadata: (endpoints) => tokensMetadata(rules, endpoints),
    close: () => {
      for (const { keys } of verifying.issuers.values()) keys.close?.()
    },
  }
}

function replied(outcome: object | Problem): HandlerReply | Problem {
  return isProblem(outcome) ? outcome : { json: outcome }
}

/** RFC 6749 section 3.2: a parameter without a value counts as left out. */
function isGiven(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

/** What was meant to be less must not become all there is because it is a list. `null` is how JSON leaves something out. */
function isOptional(value: unknown): value is string | null | undefined {
  return value === undefined || value === null || typeof value === 'string'
}

function missing(name: string): Problem {
  return refuse('invalid-request', {
    rule: 'parameter-missing',
    detail: `The parameter ${name} is missing or no text`,
  })
}
