import type { SecurityContext } from '../kernel/context.js'
import { refuse, type Problem } from '../kernel/problem.js'
import { accessToken, dateFor, type TokenResponse } from './issue-tokens.js'
import { checkClaims, type Login } from './login.js'
import {
  FAMILIES,
  familyKey,
  hashOf,
  newRefreshToken,
  newSalt,
  parseRefreshToken,
  placeOf,
  readFamily,
  refreshTokenText,
  successorOf,
  type Family,
  type RefreshToken,
} from './refresh-token.js'
import { keyRefused } from './client-key.js'
import { storeAway } from '../kernel/store-away.js'
import type { TokensRules } from './tokens-options.js'

/** What a client asks for, besides going on. */
export interface RefreshRequest {
  readonly token: unknown
  /** Less than was granted, for the access token. */
  readonly scope?: string | undefined
  readonly clientId?: string | undefined
  /** The thumbprint of the key that it has shown to have. */
  readonly jkt?: string | undefined
}

/** Why a refresh token is refused: the rule in the audit log, and its reason. To the client they are all one. */
const faults = {
  'refresh-malformed': 'It is no refresh token of this issuer',
  'refresh-unknown': 'There is no such login, or it is over',
  'refresh-expired': 'The login is over: it was idle for too long, or lasted too long',
  'refresh-reused': 'The token was used before: somebody has a copy; the login was ended',
  'refresh-key': 'The client has another key than the one that the login is bound to',
  'refresh-client': 'The token was issued to another client',
  'refresh-revoked': 'The login was ended',
  'refresh-denied': 'The application said no to the renewal; the login was ended',
} as const

const INVALID = 'The refresh token is not valid; log in again'
/** Of those who use one token at once, one succeeds each time. */
const ATTEMPTS = 5

/**
 * The next tokens of a login, for one that is good (RFC 6749 section 6). Each refresh token is good once; of those who use one at once, in whichever
 * processes, one moves on. The others get the same successor within the grace, or else the login is over.
 */
export async function refreshTokens(
  rules: TokensRules,
  request: RefreshRequest,
  ctx: SecurityContext,
): Promise<TokenResponse | Problem> {
  const token = parseRefreshToken(request.token)
  if (token === undefined) return invalid('refresh-malformed')
  const key = familyKey(rules, token)
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const text = await rules.records.get(FAMILIES, key)
    if (text === undefined) return invalid('refresh-unknown')
    const outcome = await attemptRefresh(rules, request, token, text, ctx)
    if (outcome !== undefined) return outcome
  }
  return storeAway(1_000, 'The refresh token was used by others all the time')
}

/** `undefined` if somebody else has written meanwhile. */
async function attemptRefresh(
  rules: TokensRules,
  { scope, clientId, jkt }: RefreshRequest,
  token: RefreshToken,
  text: string,
  ctx: SecurityContext,
): Promise<TokenResponse | Problem | undefined> {
  const { records, clock, renew } = rules
  const family = readFamily(text)
  const key = familyKey(rules, token)
  const now = clock.now()
  const facts = { subject: family.subject, sid: family.sid, clientId: family.clientId }
  if (now >= Math.min(family.idleAt, family.endsAt)) return invalid('refresh-expired')
  // Before anything ends: whoever stole a token and not the key must not be able to end the login either.
  if (family.jkt !== undefined && jkt !== family.jkt)
    return jkt === undefined ? keyRefused('dpop-missing') : invalid('refresh-key')
  const place = placeOf(family, token, now)
  if (place === 'reused') {
    await endLogin(rules, token, family)
    ctx.record('tokens-reused', { ...facts, severity: 'high' })
    return invalid('refresh-reused')
  }
  if (clientId !== undefined && clientId !== family.clientId) return invalid('refresh-client')
  if (await isEnded(rules, family)) {
    await records.delete(FAMILIES, key)
    return invalid('refresh-revoked')
  }
  const narrowed = scope === undefined ? family.scope : narrowedTo(scope, family.scope)
  if (narrowed === undefined && scope !== undefined) return refuse('invalid-scope', { rule: 'refresh-scope' })
  const claims = await renew?.({ ...facts, scope: family.scope, claims: family.claims })
  if (claims === false) {
    await endLogin(rules, token, family)
    ctx.record('tokens-denied', { ...facts, severity: 'low' })
    return invalid('refresh-denied')
  }
  const login: Family = {
    ...family,
    ...(claims !== undefined && { claims: checkClaims('tokens.renew', claims) }),
    // From here on, if it was not before.
    ...(jkt !== undefined && { jkt }),
  }

  const dated = await dateFor(rules, family)
  // Whoever ended all logins of the subject meanwhile ended what was issued up to then, and this token may be dated later.
  if (dated.revokedUntil !== undefined && family.startedAt / 1000 <= dated.revokedUntil) {
    await records.delete(FAMILIES, key)
    return invalid('refresh-revoked')
  }
  // All that can fail comes before the login moves on: until then, the token is as good as it was.
  const access = await accessToken(rules, scoped(login, narrowed), dated.issuedAt)
  const { next, moved } = place === 'before' ? repeated(token, family) : movedOn(rules, token, login, now)
  if (moved !== undefined) {
    const ttlMs = moved.idleAt - now
    if (!(await records.replace(FAMILIES, key, text, JSON.stringify(moved), ttlMs))) return undefined
  }
  ctx.record(moved === undefined ? 'tokens-repeated' : 'tokens-refreshed', { ...facts, severity: 'info' })
  return { ...access, refresh_token: refreshTokenText(next) }
}

interface Step {
  readonly next: RefreshToken
  /** The family as it is written; `undefined` where it stays as it is. */
  readonly moved?: Family
}

/** The same successor again. */
function repeated(token: RefreshToken, { previous }: Family): Step {
  return { next: successorOf(token, previous!.salt) }
}

function movedOn({ idleMs, graceMs }: TokensRules, token: RefreshToken, login: Family, now: number): Step {
  const salt = newSalt()
  const next = graceMs > 0 ? successorOf(token, salt) : { ...newRefreshToken(), handle: token.handle }
  const moved = {
    ...login,
    idleAt: Math.min(now + idleMs, login.endsAt),
    current: hashOf(next.secret),
    previous: graceMs > 0 ? { hash: login.current, salt, until: now + graceMs } : undefined,
  }
  return { next, moved }
}

function scoped({ scope: _scope, ...login }: Login, scope: string | undefined): Login {
  return { ...login, ...(scope !== undefined && { scope }) }
}

/** Ends a login: its access tokens first, so that it can be ended again if that fails. */
export async function endLogin(rules: TokensRules, token: RefreshToken, { sid }: Family): Promise<void> {
  await rules.revocation.revokeSession(rules.issuer, sid)
  await rules.records.delete(FAMILIES, familyKey(rules, token))
}

async function isEnded(
  { revocation, issuer }: TokensRules,
  { subject, sid, startedAt }: Family,
): Promise<boolean> {
  const credential = { issuer, subject, sid, jti: undefined, issuedAt: startedAt / 1000 }
  return (await revocation.check(credential)) !== undefined
}

/** RFC 6749 section 6: no scope that was not granted. `undefined` for one. */
function narrowedTo(asked: string, granted = ''): string | undefined {
  const all = granted.split(' ')
  const names = asked.split(' ')
  return names.every((name) => name !== '' && all.includes(name)) ? [...new Set(names)].join(' ') : undefined
}

function invalid(rule: keyof typeof faults): Problem {
  return refuse('invalid-grant', { rule, reason: faults[rule], detail: INVALID })
}
