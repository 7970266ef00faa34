import { createHash } from 'node:crypto'
import { originalUrl, type SecurityContext } from '../kernel/context.js'
import { defineHandler, type HandlerReply } from '../kernel/handler.js'
import { isProblem, refuse, type Problem } from '../kernel/problem.js'
import { RefusedError } from '../kernel/respond.js'
import { defaultServices } from '../kernel/services.js'
import type { Middleware } from '../kernel/stage.js'
import { isStoreUnavailable } from '../kernel/store-unavailable.js'
import type { Claims } from './claims.js'
import type { LoginOptions } from './session-request.js'
import { LogoutTokens, MAX_AGE_SECONDS, type LoggedOut } from './sso-logout-token.js'
import { prepareSso, type SsoOptions, type SsoRules } from './sso-options.js'
import { problemOf, SsoProvider } from './sso-provider.js'
import { loginRefused, logoutRefused, type LogoutFault } from './sso-refusals.js'
import { isLocalPath } from './sso-return-to.js'
import { randomText, Transactions } from './sso-transaction.js'
import { storeAway } from './store-away.js'
import { unavailable, type Unavailable } from './unavailable.js'

export type { SsoOptions } from './sso-options.js'

/** Endpoints, each to be mounted by one line. */
export interface SsoHandlers {
  /** `GET`: sends the browser to the identity provider. `?return_to=/path` says where it shall come out; others than paths of this host: 400. */
  readonly login: Middleware
  /** `GET`, at `redirectUri`: where the provider sends the browser back. Opens a session. */
  readonly callback: Middleware
  /** `POST`: ends the session here, and sends the browser to the provider to be logged out there. */
  readonly logout: Middleware
  /** `POST`, registered at the provider: it tells who was logged out (OpenID Connect Back-Channel Logout 1.0). */
  readonly backChannelLogout: Middleware
}

export interface Sso {
  readonly handlers: SsoHandlers
  /** Resolves when the provider is known; rejects if it cannot be asked. Otherwise it is asked when the first user comes. */
  ready(): Promise<void>
  close(): Promise<void>
}

const JTI = 'sso-logout-token'

/**
 * Logs users in by an identity provider (OpenID Connect): authorization code with PKCE, state, nonce and a check of the
 * issuer (RFC 7636, RFC 9207), logout there, and logouts that come from there. A user is issuer and subject (ASVS 6.8.1); a login
 * opens a session of `session()`. Needs the package `openid-client`.
 *
 * @example
 * const login = sso({ issuer: 'https://id.example.com', clientId: 'shop', clientSecret, redirectUri: 'https://shop.example.com/callback', sessions, store })
 * app.get('/login', login.handlers.login)
 * app.get('/callback', login.handlers.callback)
 * @throws ConfigError for every option that breaks its rule, and where `openid-client` is missing
 */
export function sso(options: SsoOptions): Sso {
  const rules = prepareSso(options)
  const provider = new SsoProvider(rules)
  const transactions = new Transactions(rules)
  const tokens = new LogoutTokens(rules)
  const { sessions, issuer } = rules

  const login = async (ctx: SecurityContext): Promise<HandlerReply | Problem> => {
    const wanted = queryOf(ctx).getAll('return_to')
    const returnTo = wanted[0] ?? rules.returnTo
    if (wanted.length > 1 || !isLocalPath(returnTo)) return noPath()
    const nonce = randomText()
    const verifier = randomText()
    // First of all the provider, so that nothing is kept for a login that cannot begin.
    await asked(ctx, provider.ready(ctx.services))
    const state = await transactions.begin(ctx, { nonce, verifier, returnTo })
    const challenge = createHash('sha256').update(verifier).digest('base64url')
    return seeOther(await asked(ctx, provider.loginUrl(ctx.services, { state, nonce, challenge })))
  }

  const callback = async (ctx: SecurityContext): Promise<HandlerReply | Problem> => {
    const query = queryOf(ctx)
    const [state = '', another] = query.getAll('state')
    const begun = another === undefined ? await transactions.take(ctx, state) : 'sso-state'
    if (typeof begun === 'string') return loginRefused(begun)
    if (!(await asked(ctx, provider.isFrom(ctx.services, query.getAll('iss')))))
      return loginRefused('sso-issuer')
    const { returnTo, ...expected } = begun
    const answer = { query: query.toString(), state, ...expected }
    const { claims, idToken } = await asked(ctx, provider.signIn(ctx.services, answer))
    const own = await rules.claims(claims)
    if (own === undefined) return loginRefused('sso-user')
    await sessions.login(ctx.req, ctx.res, { ...loginOf(claims, idToken), claims: own })
    return seeOther(returnTo)
  }

  const logout = async (ctx: SecurityContext): Promise<HandlerReply | Problem> => {
    const idToken = await sessions.attachment(ctx.req)
    await sessions.logout(ctx.req, ctx.res)
    // Here it is over, whether the provider can be told or not.
    const there = await provider.logoutUrl(ctx.services, idToken).catch(() => undefined)
    return seeOther(there ?? rules.postLogoutRedirectUri ?? rules.returnTo)
  }

  const backChannelLogout = async (
    ctx: SecurityContext,
    { logout_token: token }: Readonly<Record<string, unknown>>,
  ): Promise<HandlerReply | Problem> => {
    if (typeof token !== 'string') return logoutRefused('logout-token-missing')
    const read = await tokens.verify(token, ctx.services)
    if (typeof read === 'string')
      return isUnavailable(read) ? problemOf(new Error(unavailable[read])) : logoutRefused(read)
    const { once } = ctx.services.portsOf(rules.store)
    const keptMs = (MAX_AGE_SECONDS + 2 * rules.clockToleranceSeconds) * 1000
    if (!(await once.claim(JTI, `${issuer.name} ${read.jti}`, keptMs)))
      return logoutRefused('logout-token-replayed')
    await end(ctx, rules, read)
    return {}
  }

  return {
    handlers: {
      login: handler('ssoLogin', 'GET', login),
      callback: handler('ssoCallback', 'GET', callback),
      logout: handler('ssoLogout', 'POST', logout),
      backChannelLogout: handler('ssoBackChannelLogout', 'POST', backChannelLogout),
    },
    ready: async () => provider.ready(defaultServices()),
    close: () => {
      issuer.keys.close?.()
      return Promise.resolve()
    },
  }
}

/** A session is named by what the ID token says of it; a subject alone means all of them. */
async function end(ctx: SecurityContext, rules: SsoRules, { sid, subject }: LoggedOut): Promise<void> {
  const { sessions, revocation, issuer } = rules
  const { name } = issuer
  if (sid === undefined) {
    await revocation?.revokeSubject(name, subject!)
    await sessions.revokeAll({ issuer: name, subject: subject! }, { req: ctx.req })
    return
  }
  await revocation?.revokeSession(name, sid)
  await sessions.revokeSid(name, sid, { req: ctx.req, ...(subject !== undefined && { subject }) })
}

function loginOf({ iss, sub, sid, amr, acr, auth_time: at }: Claims, idToken: string): LoginOptions {
  return {
    issuer: iss as string,
    subject: sub as string,
    attachment: idToken,
    factors: Array.isArray(amr) ? amr.filter(isFactor).slice(0, 10) : [],
    // Unless the provider says when, it may be long ago.
    authenticatedAt: typeof at === 'number' ? Math.floor(at) : 0,
    ...(isShort(acr) && { acr }),
    ...(isShort(sid) && { sid }),
  }
}

function isFactor(method: unknown): method is string {
  return typeof method === 'string' && /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/.test(method)
}

function isShort(value: unknown): value is string {
  return typeof value === 'string' && /^[\x20-\x7e]{1,200}$/.test(value)
}

function isUnavailable(fault: LogoutFault | Unavailable): fault is Unavailable {
  return fault in unavailable
}

type Answer = (
  ctx: SecurityContext,
  body: Readonly<Record<string, unknown>>,
) => Promise<HandlerReply | Problem>

/** An endpoint whose failures are told apart: the store's, the provider's, and what was refused. */
function handler(name: string, method: 'GET' | 'POST', answer: Answer): Middleware {
  return defineHandler(name, {
    methods: [method],
    ...(name === 'ssoBackChannelLogout' && { body: ['form'] }),
    async answer(ctx, body) {
      try {
        return await answer(ctx, body)
      } catch (error) {
        return refusalOf(error)
      }
    },
  })
}

/** What the provider says, or why it does not: what fails elsewhere is not its fault. */
async function asked<T>({ services }: SecurityContext, answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    const problem = problemOf(error)
    if (problem.status === 503)
      services.log.warn('sso: the identity provider cannot be asked', reasonOf(error))
    throw new RefusedError(problem)
  }
}

/** Not the error itself: what the provider answered may hang on it, tokens included. */
function reasonOf(error: unknown): object {
  const { code, message, cause } = (error ?? {}) as Partial<Record<'code' | 'message' | 'cause', unknown>>
  return { code: code ?? (cause as { code?: unknown } | undefined)?.code, message }
}

/** @throws what was thrown, unless it says what to answer */
function refusalOf(error: unknown): Problem {
  if (isProblem((error as Partial<RefusedError> | null)?.problem)) return (error as RefusedError).problem
  if (isStoreUnavailable(error)) return storeAway(error.retryMs, 'The store of logins cannot be reached')
  throw error
}

function queryOf({ req }: SecurityContext): URLSearchParams {
  const url = originalUrl(req)
  const at = url.indexOf('?')
  return new URLSearchParams(at === -1 ? '' : url.slice(at + 1))
}

function seeOther(location: string): HandlerReply {
  return { status: 303, headers: { Location: location } }
}

function noPath(): Problem {
  return refuse('malformed-parameter', {
    rule: 'return-to',
    detail: 'return_to must be a path of this host, sent once.',
  })
}
