import type { IncomingMessage, ServerResponse } from 'node:http'
import { ambientProof } from '../kernel/ambient.js'
import { contextOf } from '../kernel/context.js'
import { RefusedError } from '../kernel/respond.js'
import { addCookie, cookieField, cookiesNamed } from '../lib/cookie.js'
import type { SessionRules } from './session-options.js'
import { isSessionId, keyOf } from './session-record.js'
import type { SessionRefusals } from './session-refusals.js'

/** The id of a session that a browser has, and the key under which the store has it. */
export interface SentSession {
  readonly sent: string
  readonly key: string
}

/** What browsers are given, and what they have from then on. */
export class SessionCookie {
  /** What a request was given is what it has, whatever it came with. */
  private readonly given = new WeakMap<IncomingMessage, string>()

  constructor(
    private readonly rules: Pick<SessionRules, 'cookie' | 'secure' | 'sameSite'>,
    private readonly refusals: SessionRefusals,
  ) {}

  /** The id that came with a request, or that it was given since. @throws RefusedError where two came */
  of(req: IncomingMessage): SentSession | undefined {
    const { given } = this
    const [sent = '', another] = given.has(req)
      ? [given.get(req)]
      : cookiesNamed(this.rules.cookie, req.headers.cookie)
    if (another !== undefined) throw new RefusedError(this.refusals.twice())
    return isSessionId(sent) ? { sent, key: keyOf(sent) } : undefined
  }

  give(req: IncomingMessage, res: ServerResponse, sessionId: string): void {
    this.set(req, res, sessionId, {})
    // What is bound to the session from here on is bound to this one.
    contextOf(req)?.set(ambientProof, { binding: keyOf(sessionId) })
  }

  take(req: IncomingMessage, res: ServerResponse): void {
    this.set(req, res, '', { maxAgeSeconds: 0 })
    contextOf(req)?.set(ambientProof, undefined)
  }

  private set(
    req: IncomingMessage,
    res: ServerResponse,
    value: string,
    more: { maxAgeSeconds?: number },
  ): void {
    const { cookie, secure, sameSite } = this.rules
    const head = contextOf(req)?.head ?? res
    addCookie(head, cookie, cookieField(cookie, value, { secure, httpOnly: true, sameSite, ...more }))
    head.setHeader('Cache-Control', 'no-store')
    this.given.set(req, value)
  }
}
