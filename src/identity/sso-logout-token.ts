import type { Services } from '../kernel/services.js'
import { isObject } from '../lib/is-object.js'
import { isName } from './session-request.js'
import type { SsoRules } from './sso-options.js'
import type { LogoutFault } from './sso-refusals.js'
import { TokenReader, type ReadToken } from './token.js'
import { unavailable, type Unavailable } from './unavailable.js'
import { signingKeys } from './verify.js'

/** Which sessions are to end: that of this name, all of this subject, or those of both. */
export interface LoggedOut {
  readonly sid: string | undefined
  readonly subject: string | undefined
  readonly jti: string
  /** When the provider said so, in seconds since 1970. */
  readonly issuedAt: number
}

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
/** Logout tokens say that something happened now; older ones are somebody's who kept them. */
export const MAX_AGE_SECONDS = 300
const MAX_TOKEN = 8_192

/** Reads and verifies logout tokens: OpenID Connect Back-Channel Logout 1.0 section 2.6, but for their being used once. */
export class LogoutTokens {
  private readonly reader: TokenReader

  constructor(private readonly rules: SsoRules) {
    this.reader = new TokenReader(rules.logoutTypes)
  }

  async verify(text: string, services: Services): Promise<LoggedOut | LogoutFault | Unavailable> {
    if (text.length > MAX_TOKEN) return 'logout-token-malformed'
    const token = this.reader.read(text)
    if (typeof token === 'string')
      return token === 'token-type' ? 'logout-token-type' : 'logout-token-malformed'
    const { issuer } = this.rules
    if (!issuer.algorithms.has(token.algorithm)) return 'logout-token-malformed'
    const read = this.claimsOf(token, services.clock.now() / 1000)
    if (typeof read === 'string') return read
    const keys = await signingKeys({ token, issuer, services })
    if (typeof keys !== 'string') return read
    return keys in unavailable ? (keys as Unavailable) : 'logout-token-signature'
  }

  private claimsOf({ payload }: ReadToken, now: number): LoggedOut | LogoutFault {
    const { issuer, clientId, clockToleranceSeconds } = this.rules
    const { iss, aud, iat, exp, nbf, jti, sid, sub, events } = payload
    if (iss !== issuer.name) return 'logout-token-issuer'
    if (!(Array.isArray(aud) ? aud : [aud]).includes(clientId)) return 'logout-token-audience'
    if (!isDate(iat) || !isDateOrAbsent(exp) || !isDateOrAbsent(nbf)) return 'logout-token-claims'
    if (iat > now + clockToleranceSeconds || iat < now - MAX_AGE_SECONDS - clockToleranceSeconds)
      return 'logout-token-time'
    if (exp !== undefined && now >= exp + clockToleranceSeconds) return 'logout-token-time'
    if (nbf !== undefined && nbf > now + clockToleranceSeconds) return 'logout-token-time'
    // An ID token must never be taken for one, nor the other way round.
    if (Object.hasOwn(payload, 'nonce') || !isName(jti) || !isEvent(events)) return 'logout-token-claims'
    if (!isNameOrAbsent(sid) || !isNameOrAbsent(sub) || (sid ?? sub) === undefined)
      return 'logout-token-claims'
    return { sid, subject: sub, jti, issuedAt: iat }
  }
}

function isEvent(events: unknown): boolean {
  return isObject(events) && Object.hasOwn(events, EVENT) && isObject(events[EVENT])
}

function isDate(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function isDateOrAbsent(value: unknown): value is number | undefined {
  return value === undefined || isDate(value)
}

function isNameOrAbsent(value: unknown): value is string | undefined {
  return value === undefined || isName(value)
}
