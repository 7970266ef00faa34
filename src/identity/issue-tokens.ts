import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { boolean } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { contextOf } from '../kernel/context.js'
import { isProblem } from '../kernel/problem.js'
import { RefusedError } from '../kernel/respond.js'
import { factorTimes } from './factor-times.js'
import { checkLogin, type IssueOptions, type Login } from './login.js'
import { momentAfter } from './revocation.js'
import {
  FAMILIES,
  familyKey,
  hashOf,
  newRefreshToken,
  refreshTokenText,
  type Family,
} from './refresh-token.js'
import { signAccessToken } from './sign-token.js'
import { tokenError } from './token-errors.js'
import type { TokensRules } from './tokens-options.js'

/** What a client gets (RFC 6749 section 5.1): the body of the reply. */
export interface TokenResponse {
  readonly access_token: string
  /** `DPoP` where the client has shown a key, and the tokens are bound to it. */
  readonly token_type: 'Bearer' | 'DPoP'
  /** In seconds. */
  readonly expires_in: number
  readonly refresh_token?: string
  readonly scope?: string
}

/** What `bearer` accepts, unless it is told otherwise. */
const MAX_TOKEN = 8_192

/** @throws ConfigError for what no token can say */
export async function issueTokens(
  rules: TokensRules,
  options: IssueOptions,
  req?: IncomingMessage,
): Promise<TokenResponse> {
  const { clock, idleMs, absoluteMs } = rules
  const now = clock.now()
  const jkt = await keyOf(rules, req)
  const login: Login = {
    ...checkLogin(rules.clientId, options, now),
    ...(jkt !== undefined && { jkt }),
  }
  const { refresh = true } = options
  boolean('issue.refresh', refresh)
  const { issuedAt } = await dateFor(rules, login)
  const access = await accessToken(rules, login, issuedAt)
  const ctx = req === undefined ? undefined : contextOf(req)
  ctx?.head.setHeader('Cache-Control', 'no-store')
  const facts = {
    subject: login.subject,
    sid: login.sid,
    clientId: login.clientId,
    amr: login.authentication.amr.join(' '),
    severity: 'info',
  }

  if (!refresh) {
    ctx?.record('tokens-issued', { ...facts, refresh: false })
    return access
  }
  const token = newRefreshToken()
  const endsAt = now + absoluteMs
  const idleAt = Math.min(now + idleMs, endsAt)
  // Not over with what was ended before it.
  const startedAt = Math.max(now, Math.round(issuedAt * 1000))
  const family: Family = { v: 1, ...login, startedAt, endsAt, idleAt, current: hashOf(token.secret) }
  const text = JSON.stringify(family)
  if (!(await rules.records.replace(FAMILIES, familyKey(rules, token), undefined, text, idleAt - now)))
    throw new Error('There is a refresh token with this handle already')
  ctx?.record('tokens-issued', { ...facts, refresh: true })
  return { ...access, refresh_token: refreshTokenText(token) }
}

/** @throws RefusedError for a proof that is none, and for none where it is required */
async function keyOf(
  { clientKeys }: TokensRules,
  req: IncomingMessage | undefined,
): Promise<string | undefined> {
  if (!clientKeys.required && req?.headers.dpop === undefined) return undefined
  const ctx = req === undefined ? undefined : contextOf(req)
  if (ctx === undefined) {
    if (!clientKeys.isOn) return undefined
    throw new Error('issue needs the request, behind secureApi(): which key its client has is proven there')
  }
  const shown = await clientKeys.shownBy(ctx)
  if (isProblem(shown)) throw new RefusedError(tokenError(shown))
  return shown
}

/** When what is issued now is dated, and up to when everything of its subject is over. In seconds since 1970. */
export interface Dated {
  readonly issuedAt: number
  readonly revokedUntil: number | undefined
}

/** To be asked before anything is signed: whoever ends all logins of the subject from here on ends this one too. */
export async function dateFor(
  { issuer, clock, revocation }: TokensRules,
  { subject }: Pick<Login, 'subject'>,
): Promise<Dated> {
  const now = clock.now() / 1000
  const second = Math.floor(now)
  const revokedUntil = await revocation.revokedUntil(issuer, subject)
  // Logged out everywhere within this second, and back already: what is dated before that moment is over.
  const isBack = revokedUntil !== undefined && revokedUntil >= second && revokedUntil < second + 1
  return { issuedAt: isBack ? Math.max(now, momentAfter(revokedUntil)) : second, revokedUntil }
}

/** An access token for somebody who is logged in. */
export async function accessToken(
  { issuer, audiences, accessSeconds, keys }: TokensRules,
  { sid, subject, clientId, scope, claims, authentication: { at, acr, amr, factors }, jkt }: Login,
  issuedAt: number,
): Promise<TokenResponse> {
  const key = await keys.signing()
  const payload = {
    ...claims,
    iss: issuer,
    aud: audiences.length === 1 ? audiences[0] : audiences,
    sub: subject,
    client_id: clientId,
    iat: issuedAt,
    exp: Math.floor(issuedAt) + accessSeconds,
    jti: randomUUID(),
    sid,
    ...(scope !== undefined && { scope }),
    ...(at !== undefined && { auth_time: Math.floor(at) }),
    ...(acr !== undefined && { acr }),
    ...(amr.length > 0 && { amr }),
    ...(factors !== undefined && { amr_times: factorTimes(factors) }),
    ...(jkt !== undefined && { cnf: { jkt } }),
  }
  const token = await signAccessToken(payload, key)
  if (token.length > MAX_TOKEN)
    throw new ConfigError(
      `issue: the access token would have ${token.length} bytes, and no bearer accepts more than ${MAX_TOKEN}; say less in scope and claims`,
    )
  return {
    access_token: token,
    token_type: jkt === undefined ? 'Bearer' : 'DPoP',
    expires_in: accessSeconds,
    ...(scope !== undefined && { scope }),
  }
}
