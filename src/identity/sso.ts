import { createHash } from 'node:crypto'
import { originalUrl, type SecurityContext } from '../kernel/context.js'
import { defineHandler, type HandlerReply } from '../kernel/handler.js'
import { isProblem, refuse, type Problem } from '../kernel/problem.js'
import { RefusedError } from '../kernel/respond.js'
import { defaultServices } from '../kernel/services.js'
import type { Middleware } from '../kernel/stage.js'
import { isStoreUnavailable } from '../kernel/store-unavailable.js'
import { loginOf } from './sso-login.js'
import { LogoutTokens, type LoggedOut } from './sso-logout-token.js'
import { Logouts } from './sso-logouts.js'
import { prepareSso, type SsoOptions, type SsoRules } from './sso-options.js'
import { awayBecause, problemOf, SsoProvider } from './sso-provider.js'
import { loginRefused, logoutRefused, providerAway, type LogoutFault } from './sso-refusals.js'
import { isLocalPath } from './sso-return-to.js'
import { randomText, Transactions } from './sso-transaction.js'
import { storeAway } from '../kernel/store-away.js'
import { unavailable, type Unavailable } from './unavailable.js'

export type { SsoClientOptions } from './sso-client.js'
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
  const logouts = new Logouts(rules)
  const { sessions, issuer } = rules

  const login = async (ctx: SecurityContext): Promise<HandlerReply | Problem> => {
    const wanted = queryOf(ctx).getAll('return_to')
    const returnTo = wanted[0] ?? rules.returnTo
    if (wanted.length > 1 || !isLocalPath(returnTo)) return noPath()
    const nonce = randomText()
    const verifier = randomText()
    // First of all the provider, so that nothing is kept for a login that cannot begin.
    await asked(provider.ready(ctx.services))
    const state = await transactions.begin(ctx, { nonce, verifier, returnTo })
    const challenge = createHash('sha256').update(verifier).digest('base64url')
    return seeOther(await asked(provider.loginUrl(ctx.services, { state, nonce, challenge })))
  }

  const callback = async (ctx: SecurityContext): Promise<HandlerReply | Problem> => {
    const query = queryOf(ctx)
    const [state = '', another] = query.getAll('state')
    const begun = another === undefined ? await transactions.take(ctx, state) : 'sso-state'
    if (typeof begun === 'string') return loginRefused(begun)
    if (!(await asked(provider.isFrom(ctx.services, query.getAll('iss'))))) return loginRefused('sso-issuer')
    // Of flows that nobody asked for: whoever put that there, it was not the provider.
    if (query.has('id_token') || query.has('token')) return loginRefused('sso-token')
    const { returnTo, ...expected } = begun
    const answer = { query: query.toString(), state, ...expected }
    const { claims, idToken } = await asked(provider.signIn(ctx.services, answer), problemOf)
    const latest = ctx.services.clock.now() / 1000 + rules.clockToleranceSeconds
    const user = loginOf(claims, idToken, latest)
    if (user === undefined) return loginRefused('sso-token')
    const own = await rules.claims(claims)
    if (own === undefined) return loginRefused('sso-user')
    await sessions.login(ctx.req, ctx.res, { ...user, claims: own })
    // Whoever ended all there was a moment ago did not find this one.
    if (await logouts.overtook(ctx, claims)) {
      await sessions.logout(ctx.req, ctx.res)
      return loginRefused('sso-ended')
    }
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
      return isUnavailable(read) ? providerAway({ message: unavailable[read] }) : logoutRefused(read)
    if (await logouts.isDone(ctx, read)) return logoutRefused('logout-token-replayed')
    await logouts.note(ctx, read)
    await end(ctx, rules, read)
    // Last of all: if something fails before, the provider tells it again; and told twice at once, it ends what it would have ended once.
    await logouts.done(ctx, read)
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
async function asked<T>(answer: Promise<T>, problemFor = awayBecause): Promise<T> {
  try {
    return await answer
  } catch (error) {
    throw new RefusedError(problemFor(error))
  }
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
