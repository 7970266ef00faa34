import type { IncomingMessage } from 'node:http'
import { contextOf } from '../kernel/context.js'
import type { BearerOptions } from './bearer-options.js'
import { issueTokens, type TokenResponse } from './issue-tokens.js'
import type { IssueOptions } from './login.js'
import type { Revocations } from './revocation.js'
import type { RotateKeysOptions } from './signing-keys.js'
import { tokenHandlers, type TokenHandlers } from './token-handlers.js'
import { prepareTokens, type TokensOptions } from './tokens-options.js'

export type { TokenResponse } from './issue-tokens.js'
export type { IssueOptions } from './login.js'
export type { RotateKeysOptions } from './signing-keys.js'
export type { TokenHandlers } from './token-handlers.js'
export type { TokenEndpoints } from './tokens-metadata.js'
export type { RenewalRequest, SigningKeyRingOptions, TokensOptions } from './tokens-options.js'

/** An issuer of one's own. */
export interface Tokens extends TokenHandlers {
  readonly issuer: string
  /** What `bearer` needs to accept its access tokens, without a detour through HTTP: `auth: [bearer(own.bearerOptions)]`. */
  readonly bearerOptions: BearerOptions
  /** What was revoked. */
  readonly revocation: Revocations
  /**
   * Tokens for somebody who has just shown who it is: the body of the reply to a login. With `req`, the login is an audit event, and its reply
   * is not kept by anybody (`no-store`).
   *
   * @throws ConfigError for what no token can say; StoreUnavailable while the store is away
   */
  issue(options: IssueOptions, req?: IncomingMessage): Promise<TokenResponse>
  /** Ends one login: the refresh token and all access tokens with this `sid`. */
  endSession(sid: string, req?: IncomingMessage): Promise<void>
  /** Ends all logins of a subject up to now. */
  endSubject(subject: string, req?: IncomingMessage): Promise<void>
  /**
   * Makes the next key of `keyRing` now: announced as usual, or with `withdraw` at once and in the place of all others.
   *
   * @throws Error where `keys` were given
   */
  rotateKeys(options?: RotateKeysOptions): Promise<void>
  /** Resolves when the signing keys are there; rejects if they cannot be had or opened. */
  ready(): Promise<void>
  close(): Promise<void>
}

/**
 * An issuer for applications without an identity provider: short access tokens (RFC 9068), refresh tokens that are good once, keys that change by
 * themselves. You check the password, passkey or whatever it is; this does the rest.
 *
 * @example
 * const own = tokens({ issuer: 'https://api.example.com', audience: 'https://api.example.com', store: redis(client), keyRing: { secret } })
 * const api = secureApi({ auth: [bearer(own.bearerOptions)], routes: { 'POST /login': { public: true }, 'POST /refresh': { public: true } } })
 * app.post('/login', async (req, res) => res.json(await own.issue({ subject: await checked(req.body) }, req)))
 * app.post('/refresh', own.refresh)
 * @throws ConfigError naming option, rule, value and fix
 */
export function tokens(options: TokensOptions): Tokens {
  const rules = prepareTokens(options)
  const { issuer, audiences, keys, revocation, accessSeconds, proofs } = rules
  const bearerOptions: BearerOptions = {
    issuer,
    audience: audiences,
    keys: keys.fixed ?? (async () => ({ keys: await keys.published(true) })),
    maxLifetimeSeconds: accessSeconds,
    revocation,
    ...proofs,
  }
  const { close, ...handlers } = tokenHandlers(rules, bearerOptions)

  return {
    ...handlers,
    issuer,
    bearerOptions,
    revocation,
    issue: (request, req) => issueTokens(rules, request, req),
    async endSession(sid, req) {
      await revocation.revokeSession(issuer, sid)
      recorder(req)?.record('tokens-revoked', { severity: 'info', what: 'login', sid })
    },
    async endSubject(subject, req) {
      await revocation.revokeSubject(issuer, subject)
      recorder(req)?.record('tokens-revoked', { severity: 'info', what: 'subject', subject })
    },
    rotateKeys: (how) => keys.rotate(how),
    ready: async () => {
      await keys.signing()
    },
    close: () => {
      close()
      return Promise.resolve()
    },
  }
}

function recorder(req: IncomingMessage | undefined) {
  return req === undefined ? undefined : contextOf(req)
}
