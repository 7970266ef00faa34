import type { IncomingMessage, ServerResponse } from 'node:http'
import type { SessionRecord } from './session-record.js'
import type { LoginOptions, SessionSubject } from './session-request.js'

/** What is known of a session, apart from its id. Times are milliseconds since 1970, those of factors seconds. */
export interface SessionInfo {
  /** What it is called in lists and audit events; no secret. */
  readonly id: string
  readonly subject: string
  /** Who vouches for the subject, unless it is this application. */
  readonly issuer?: string
  readonly factors: SessionRecord['factors']
  readonly createdAt: number
  /** When it was used last, to `touchMs`. */
  readonly seenAt: number
  /** When it ends, however much it is used. */
  readonly expiresAt: number
}

/** On whose record the end of a session is put. */
export interface RevokeOptions {
  /** The request that caused it, whose audit trail gets an event for each session. Default: none gets one. */
  req?: IncomingMessage
}

export interface RevokeAllOptions extends RevokeOptions {
  /** The `id` of a session that goes on: `principal.claims.session_id` is that of the caller. Default: all end. */
  except?: string
}

export interface RevokeSidOptions extends RevokeOptions {
  /** Whose it is, if that is known: then those sessions of theirs end too of which nobody knows the `sid`. Default: found by the `sid`. */
  subject?: string
}

/**
 * What handlers and operators do with sessions. All of it is refused with a `RefusedError`, which `api.errors()` answers: 503
 * `store-unavailable` while the store is away, and what each says.
 */
export interface Sessions {
  /**
   * Begins a session for a subject whose proof the handler has just checked, always with a new id (ASVS 7.2.4); the one that the
   * request came with ends as soon as there is a new one. One too many: what `whenFull` says.
   *
   * @throws ConfigError for an option that breaks its rule
   */
  login(req: IncomingMessage, res: ServerResponse, options: LoginOptions): Promise<SessionInfo>
  /**
   * Gives the session of this request a new id, and other claims if they are there: call it when what the subject may do
   * changes. No session: 401 `invalid-session`.
   */
  rotate(
    req: IncomingMessage,
    res: ServerResponse,
    changes?: { readonly claims?: Readonly<Record<string, unknown>> },
  ): Promise<SessionInfo>
  /** Notes that a factor was shown just now, such as `'otp'` (RFC 8176), and gives the session a new id. The level of the login gets no younger. No session: 401 `invalid-session`. */
  addFactor(req: IncomingMessage, res: ServerResponse, method: string): Promise<SessionInfo>
  /** Ends the session of this request, also by an id that it had before, and takes its cookie away, whether it is still good or not. Two cookies: 400 `invalid-request`. */
  logout(req: IncomingMessage, res: ServerResponse): Promise<SessionInfo | undefined>
  /** The `attachment` of the session of this request, unless that is over or was revoked. */
  attachment(req: IncomingMessage): Promise<string | undefined>
  /** The sessions of a subject, the oldest first. */
  list(subject: SessionSubject): Promise<readonly SessionInfo[]>
  /** Ends one session of a subject, by its `id`. Whether there was one. */
  revoke(subject: SessionSubject, id: string, options?: RevokeOptions): Promise<boolean>
  /** Ends all sessions of a subject, in every process. How many (ASVS 7.4.2, 7.4.3). */
  revokeAll(subject: SessionSubject, options?: RevokeAllOptions): Promise<number>
  /** Ends the sessions that belong to a session of an identity provider, by its `sid`. How many. */
  revokeSid(issuer: string, sid: string, options?: RevokeSidOptions): Promise<number>
}
