import { ambientProof, type AmbientProof } from '../kernel/ambient.js'
import { challenges } from '../kernel/challenges.js'
import type { Principal, SecurityContext } from '../kernel/context.js'
import { defineStage, type Standalone } from '../kernel/define.js'
import type { Finding, Verdict } from '../kernel/stage.js'
import { unwaited } from '../kernel/unwaited.js'
import { Generations } from '../lib/generations.js'
import { cookiesNamed } from '../lib/cookie.js'
import type { Method, MethodMiddleware } from './method.js'
import { sessionDesk } from './session-desk.js'
import type { Sessions } from './sessions.js'
import { prepareSession, type SessionOptions, type SessionRules } from './session-options.js'
import { sessionPrincipal } from './session-principal.js'
import {
  isSessionId,
  keyOf,
  mayBeSessionId,
  ownerOf,
  readSession,
  SESSIONS,
  type SessionRecord,
} from './session-record.js'
import { sessionRefusals, type SessionFault, type SessionRefusals } from './session-refusals.js'
import { isRevoked } from './session-revocation.js'
import { faultOf, timeToLive } from './session-shelf.js'
import { storeAway, whenStored } from '../kernel/store-away.js'

export type { SessionOptions } from './session-options.js'

/** The method for `auth`, and what handlers and operators do with its sessions. */
export type SessionMiddleware = MethodMiddleware & Sessions

/**
 * Knows callers by a session that the server keeps: an opaque id in a cookie of this host alone, of which the store has only a
 * hash. No cookie: 401 `unauthenticated`; two of them: 400 `invalid-request`; over, revoked or made up: 401 `invalid-session`;
 * the store is away: 503 `store-unavailable`. Where it proved the caller, `csrf` asks whether the page may have sent the request.
 *
 * @example
 * const sessions = session({ store: redis(client) })
 * const api = secureApi({ auth: [sessions], routes: { 'POST /login': { public: true, csrf: { always: true } } } })
 * app.post('/login', asyncHandler(async (req, res) => {
 *   const user = await checkPassword(req.body)
 *   await sessions.login(req, res, { subject: user.id, factors: ['pwd'] })
 *   res.json({})
 * }))
 * @throws ConfigError for a store without records, and every option that breaks its rule
 */
export function session(options: SessionOptions, standalone?: Standalone): SessionMiddleware {
  const rules = prepareSession(options)
  const { realm = 'api' } = options
  const refusals = sessionRefusals(rules.cookie, realm)
  const prepared = { rules, refusals }
  const middleware = standalone === undefined ? sessionStage(prepared) : sessionStage(prepared, standalone)
  return Object.assign(middleware, sessionDesk(rules, refusals))
}

interface Prepared {
  readonly rules: SessionRules
  readonly refusals: SessionRefusals
}

/** What is read of a record, as long as its text stays the same; the store is asked each time. */
interface Reading {
  readonly text: string
  readonly record: SessionRecord
  readonly principal: Principal
  readonly proof: AmbientProof
  /** When the store was last told to keep it, on the clock that does not jump. */
  keptAt: number
}

/** At most so many of them, some 2 KB each. */
const REMEMBERED = 5_000

const sessionStage = defineStage('session', ({ rules, refusals }: Prepared): Omit<Method, 'name'> => {
  const { store, cookie, secure, revocation, touchMs } = rules
  const { sameSite, idleTimeoutMs, absoluteTimeoutMs, maxSessions, whenFull } = rules
  const offered = [refusals.offered]
  /** By the keys of their sessions. */
  const readings = new Generations<string, Reading>(REMEMBERED)

  const readingOf = (key: string, text: string): Reading => {
    const known = readings.get(key)
    if (known?.text === text) return known
    const record = readSession(text)
    const principal = sessionPrincipal(record)
    const reading = { text, record, principal, proof: Object.freeze({ binding: key }), keptAt: -Infinity }
    readings.set(key, reading)
    return reading
  }

  const refuseUse = (ctx: SecurityContext, record: SessionRecord, fault: SessionFault): Verdict => {
    ctx.record(fault, { session: record.id, subject: ownerOf(record), severity: 'low' })
    return refusals.because(fault)
  }

  const accept = (ctx: SecurityContext, key: string, reading: Reading, now: number): void => {
    ctx.principal = reading.principal
    ctx.set(ambientProof, reading.proof)
    ctx.note('session', 'the session is valid')
    if (Math.abs(now - reading.record.seenAt) >= touchMs) touch(ctx, key, reading, now)
  }

  const touch = ({ services }: SecurityContext, key: string, reading: Reading, now: number): void => {
    const { text, record } = reading
    const age = now - record.seenAt
    const { clock } = services
    // Seen in the future, by a clock that is ahead of ours, or was: it stays at that, and the store keeps it on.
    if (age < 0 && clock.monotonic() - reading.keptAt < touchMs) return
    reading.keptAt = clock.monotonic()
    const seen = age < 0 ? record : { ...record, seenAt: now }
    // Only if it is still there as it was: what has ended meanwhile stays ended.
    unwaited(() =>
      services
        .portsOf(store)
        .records.replace(SESSIONS, key, text, JSON.stringify(seen), timeToLive(seen, rules)),
    )
  }

  const judge = (ctx: SecurityContext, key: string, text: string): Verdict | Promise<Verdict> => {
    let reading: Reading
    try {
      reading = readingOf(key, text)
    } catch (cause) {
      return storeAway(1_000, 'The record of the session cannot be read', cause)
    }
    const { record } = reading
    const now = ctx.services.clock.now()
    const fault = faultOf(record, rules, now)
    if (fault !== undefined) return refuseUse(ctx, record, fault)
    if (revocation === undefined) return accept(ctx, key, reading, now)

    return whenStored(
      isRevoked(revocation, record, ctx.services),
      'Nobody can tell whether the session was revoked',
      (revoked) => (revoked ? refuseUse(ctx, record, 'session-revoked') : accept(ctx, key, reading, now)),
    )
  }

  return {
    gives: ['principal'],
    methodName: 'session',
    insteadOfTwo: 'keep all sessions in one, and tell them apart by their claims',
    ambient: true,
    unasked: 'browsers send its cookie unasked',
    recognises: ({ req }) => cookiesNamed(cookie, req.headers.cookie).length > 0,
    challenge: () => refusals.offered,

    enter(ctx) {
      ctx.principal = undefined
      ctx.set(ambientProof, undefined)
      ctx.set(challenges, offered)
      const [sent, another] = cookiesNamed(cookie, ctx.req.headers.cookie)
      if (sent === undefined) return refusals.nothing()
      if (another !== undefined) return refusals.twice()
      if (!mayBeSessionId(sent)) return refusals.because('session-malformed')
      const key = keyOf(sent)
      return whenStored(
        ctx.services.portsOf(store).records.get(SESSIONS, key),
        'The store of the sessions cannot be reached',
        (text) =>
          text === undefined
            ? refusals.because(isSessionId(sent) ? 'session-unknown' : 'session-malformed')
            : judge(ctx, key, text),
      )
    },

    describe: () => ({
      cookie,
      sameSite,
      idleTimeoutMs,
      absoluteTimeoutMs,
      touchMs,
      maxSessions,
      whenFull,
      ...(revocation !== undefined && { revocation: true }),
      ...(!secure && { dangerouslyAllowHttp: true }),
    }),
    findings: () => (secure ? [] : [OVER_HTTP]),
  }
})

const OVER_HTTP: Finding = {
  code: 'session-over-http',
  severity: 'high',
  cause:
    'session.dangerouslyAllowHttp sends the session cookie without TLS, where everybody on the way reads it',
  fix: 'leave it out wherever others than the developer can get; browsers accept secure cookies on https only',
}
