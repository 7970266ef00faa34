import type { IncomingMessage, ServerResponse } from 'node:http'
import { knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { consoleLog } from '../kernel/console-log.js'
import { contextOf } from '../kernel/context.js'
import { guardedRecords } from '../kernel/guarded.js'
import { RefusedError } from '../kernel/respond.js'
import { defaultServices } from '../kernel/services.js'
import { isStoreUnavailable } from '../kernel/store-unavailable.js'
import { SessionCookie, type SentSession } from './session-cookie.js'
import type { SessionRules } from './session-options.js'
import {
  keyOf,
  LOCAL_ISSUER,
  newHandle,
  newSessionId,
  ownerOf,
  type ListedSession,
  type SessionRecord,
} from './session-record.js'
import type { SessionRefusals } from './session-refusals.js'
import { checkClaims, checkLogin, checkSubject, factorName, MAX_FACTORS } from './session-request.js'
import { seal, unseal } from './session-seal.js'
import { isRevoked } from './session-revocation.js'
import { faultOf, SessionShelf } from './session-shelf.js'
import type { RevokeOptions, SessionInfo, Sessions } from './sessions.js'
import { storeAway } from '../kernel/store-away.js'

interface Current extends SentSession {
  readonly record: SessionRecord
}

export function sessionDesk(rules: SessionRules, refusals: SessionRefusals): Sessions {
  const { clock, absoluteTimeoutMs } = rules
  const guard = { clock, log: consoleLog, timeoutMs: rules.storeTimeoutMs }
  const shelf = new SessionShelf(guardedRecords(rules.store.records, guard), rules)
  const cookie = new SessionCookie(rules, refusals)

  const running = (record: SessionRecord | undefined): SessionRecord | undefined =>
    record !== undefined && faultOf(record, rules, clock.now()) === undefined ? record : undefined

  /** The session of a request, to be ended: whether it was revoked elsewhere or not, and also by an id that it had before. */
  const held = async (req: IncomingMessage): Promise<SessionRecord | undefined> => {
    const shown = cookie.of(req)
    return shown && running((await shelf.find(shown.key)) ?? (await shelf.findMoved(shown.key)))
  }

  const isGood = async (record: SessionRecord, services = defaultServices()): Promise<boolean> =>
    rules.revocation === undefined || !(await isRevoked(rules.revocation, record, services))

  /** The session of a request, which may be used: also where nobody was asked who is calling. */
  const current = async (req: IncomingMessage): Promise<Current | undefined> => {
    const shown = cookie.of(req)
    const record = shown && running(await shelf.find(shown.key))
    const isUsable = record !== undefined && (await isGood(record, contextOf(req)?.services))
    return isUsable ? { ...shown!, record } : undefined
  }

  const note = (
    req: IncomingMessage | undefined,
    kind: string,
    ended: readonly { id: string }[],
    owner: string,
  ): void => {
    const ctx = req && contextOf(req)
    for (const { id } of ended) ctx?.record(kind, { session: id, subject: owner, severity: 'info' })
  }

  const attachmentOf = async ({ sent, key, record }: Current): Promise<string | undefined> => {
    const sealed = record.attached === true ? await shelf.attachmentOf(key) : undefined
    return sealed === undefined ? undefined : unseal(sent, sealed)
  }

  const renew = async (
    req: IncomingMessage,
    res: ServerResponse,
    kind: string,
    changed: (record: SessionRecord, now: number) => SessionRecord,
  ): Promise<SessionInfo> => {
    refuseBegun(res)
    const found = await current(req)
    if (found === undefined) throw new RefusedError(refusals.because('session-unknown'))
    const now = clock.now()
    const sessionId = newSessionId()
    const attachment = await attachmentOf(found)
    const record: SessionRecord = { ...changed(found.record, now), seenAt: now }
    const sealed = attachment === undefined ? undefined : seal(sessionId, attachment)
    if (!(await shelf.move(found.key, keyOf(sessionId), record, sealed)))
      throw new RefusedError(refusals.because('session-unknown'))
    cookie.give(req, res, sessionId)
    note(req, kind, [record], ownerOf(record))
    return infoOf(record)
  }

  const end = async (
    owner: string,
    chosen: (session: ListedSession) => boolean,
    { req }: RevokeOptions = {},
  ): Promise<number> => {
    const ended = await shelf.end(owner, chosen)
    note(req, 'session-ended', ended, owner)
    return ended.length
  }

  return whereStoreIsAway({
    async login(req, res, options) {
      const now = clock.now()
      const facts = checkLogin(options, now)
      refuseBegun(res)
      const before = await held(req)
      const sessionId = newSessionId()
      const { attachment } = options
      const record: SessionRecord = {
        v: 1,
        id: newHandle(),
        ...facts,
        createdAt: now,
        seenAt: now,
        expiresAt: now + absoluteTimeoutMs,
        ...(attachment !== undefined && { attached: true }),
      }
      const sealed = attachment === undefined ? undefined : seal(sessionId, attachment)
      const opened = await shelf.open(keyOf(sessionId), record, sealed, before?.id)
      if (opened === 'full') throw new RefusedError(refusals.full())
      // Only now: where there is no new one, whoever is logged in stays so.
      if (before !== undefined) await end(ownerOf(before), ({ id }) => id === before.id, { req })
      cookie.give(req, res, sessionId)
      note(req, 'session-ended', opened.ended, ownerOf(record))
      note(req, 'session-begun', [record], ownerOf(record))
      return infoOf(record)
    },

    async rotate(req, res, changes = {}) {
      knownKeys('rotate', changes, ['claims'], ['claims'])
      const { claims: given } = changes
      const claims = given === undefined ? undefined : checkClaims('rotate.claims', given)
      return renew(req, res, 'session-rotated', (record) => ({ ...record, ...(claims && { claims }) }))
    },

    async addFactor(req, res, method) {
      factorName('addFactor: the method', method)
      return renew(req, res, 'session-factor', (record, now) => ({
        ...record,
        factors: [
          ...record.factors.filter((one) => one.method !== method).slice(1 - MAX_FACTORS),
          { method, at: Math.floor(now / 1000) },
        ],
      }))
    },

    async logout(req, res) {
      refuseBegun(res)
      const found = await held(req)
      // By its name, which a rotation at the same moment leaves as it is.
      if (found !== undefined) await shelf.end(ownerOf(found), ({ id }) => id === found.id)
      cookie.take(req, res)
      if (found === undefined) return undefined
      note(req, 'session-logout', [found], ownerOf(found))
      return infoOf(found)
    },

    async attachment(req) {
      const found = await current(req)
      return found && attachmentOf(found)
    },

    async list(subject) {
      const now = clock.now()
      const listed = await shelf.list(ownerOf(checkSubject('list', subject)))
      const there = listed.filter((record) => faultOf(record, rules, now) === undefined)
      const good = await Promise.all(there.map(async (record) => isGood(record)))
      return there.filter((_one, i) => good[i]).map(infoOf)
    },

    async revoke(subject, id, options) {
      return (await end(ownerOf(checkSubject('revoke', subject)), (one) => one.id === id, options)) > 0
    },

    async revokeAll(subject, options = {}) {
      knownKeys('revokeAll', options, ['except', 'req'], ['except'])
      const { except } = options
      if (except !== undefined && typeof except !== 'string')
        throw new ConfigError(`revokeAll.except must be the id of a session, got ${show(except)}`)
      return end(ownerOf(checkSubject('revokeAll', subject)), ({ id }) => id !== except, options)
    },

    async revokeSid(issuer, sid, options = {}) {
      knownKeys('revokeSid', options, ['subject', 'req'], ['subject'])
      const { subject } = options
      const named = { issuer, subject: subject ?? sid }
      const owner = ownerOf(checkSubject('revokeSid', named))
      // Of a session that nobody named, nobody can say that it is another one.
      const isIt = (one: ListedSession) => one.sid === sid || (subject !== undefined && one.sid === undefined)
      const owners = subject === undefined ? await shelf.ownersOfSid(issuer, sid) : [owner]
      let ended = 0
      for (const one of owners) ended += await end(one, isIt, options)
      return ended
    },
  })
}

/** A session that no browser learns of would be nobody's. */
function refuseBegun({ headersSent }: ServerResponse): void {
  if (headersSent) throw new Error('The reply has begun: its cookies cannot be changed any more')
}

function infoOf({ id, subject, issuer, factors, createdAt, seenAt, expiresAt }: SessionRecord): SessionInfo {
  const vouched = issuer !== LOCAL_ISSUER && { issuer }
  return { id, subject, ...vouched, factors, createdAt, seenAt, expiresAt }
}

/** The same functions, where a store that is away is a refusal: 503, and never an error of the handler's own. */
function whereStoreIsAway(desk: Sessions): Sessions {
  const guarded = Object.entries(desk).map(([name, method]) => [
    name,
    async (...call: unknown[]) => {
      try {
        return await (method as (...all: unknown[]) => unknown)(...call)
      } catch (error) {
        if (!isStoreUnavailable(error)) throw error
        throw new RefusedError(storeAway(error.retryMs, 'The store of the sessions cannot be reached'))
      }
    },
  ])
  return Object.fromEntries(guarded) as Sessions
}
