import { getMany } from '../kernel/many-records.js'
import type { RecordStore } from '../kernel/ports.js'
import type { SessionRules } from './session-options.js'
import {
  ATTACHMENTS,
  MOVED,
  ownerOf,
  OWNERS,
  PROVIDER_SESSIONS,
  readList,
  readMoved,
  readOwners,
  readSession,
  SESSIONS,
  type ListedSession,
  type SessionRecord,
} from './session-record.js'
import { SharedLists } from './shared-lists.js'

/** Subjects of one session of an identity provider: one, or those who took turns in one browser. */
const MAX_OWNERS = 100

/** What became of a session that was to be opened. */
export type Opened = { readonly ended: readonly ListedSession[] } | 'full'

/**
 * Sessions in the store, and the list of each subject's. A browser knows of a session only once it stands in the list, and
 * it leaves the list only once its record is gone: whoever ends all that is in the list has ended all there are, whatever
 * others do at the same time, and wherever a process dies in between.
 */
export class SessionShelf {
  private readonly lists: SharedLists

  constructor(
    private readonly records: RecordStore,
    private readonly rules: SessionRules,
  ) {
    this.lists = new SharedLists(records, rules.clock, rules.absoluteTimeoutMs)
  }

  async find(key: string): Promise<SessionRecord | undefined> {
    const text = await this.records.get(SESSIONS, key)
    return text === undefined ? undefined : readSession(text)
  }

  /**
   * Puts a new session into the list of its subject; at the bound, the oldest ones end, or there is none. The one `before`, whose
   * place it will take, does not count, and goes on until the caller ends it.
   */
  async open(key: string, record: SessionRecord, attachment?: string, before?: string): Promise<Opened> {
    const owner = ownerOf(record)
    this.lists.refuseCrowd(OWNERS, owner)
    await this.write(key, record, attachment)
    if (record.sid !== undefined) await this.own(record.issuer, record.sid, record)
    const ended: ListedSession[] = []
    const added = await this.relist(owner, async (listed) => {
      let others: readonly ListedSession[] = listed.filter(({ id }) => id !== before)
      // Those that were left alone for too long are gone from the store, but not from the list.
      if (idsOf(others).length >= this.rules.maxSessions) others = await this.stillThere(others)
      const ids = idsOf(others)
      const excess = ids.slice(0, Math.max(ids.length - this.rules.maxSessions + 1, 0))
      if (excess.length > 0) {
        if (this.rules.whenFull === 'refuse') return undefined
        ended.push(...(await this.endThese(others.filter(({ id }) => excess.includes(id)))))
        others = others.filter(({ id }) => !excess.includes(id))
      }
      return [...listed.filter(({ id }) => id === before), ...others, entryOf(key, record)]
    })
    if (added) return { ended }
    await this.remove(entryOf(key, record))
    return 'full'
  }

  /**
   * The same session under another key. Whether it was still there: of those who move it at once, one does. Both keys stand in the
   * list until the first is gone, so that a store which fails before that takes nothing away.
   */
  async move(from: string, to: string, record: SessionRecord, attachment?: string): Promise<boolean> {
    const owner = ownerOf(record)
    const next = entryOf(to, record)
    const ttlMs = timeToLive(record, this.rules)
    await this.write(to, record, attachment)
    const listed = await this.relist(owner, (all) =>
      all.some(({ key }) => key === from)
        ? all.flatMap((one) => (one.key === from ? [one, next] : [one]))
        : undefined,
    )
    if (listed) await this.records.put(MOVED, from, JSON.stringify({ owner, id: record.id }), ttlMs)
    const moved = listed && (await this.remove(entryOf(from, record)))
    // Somebody ended it meanwhile, or moved it.
    if (!moved) await this.remove(next)
    if (!listed) return false
    return this.relist(owner, (all) =>
      // What is not in the list any more was ended between the two.
      moved && !all.some(({ key }) => key === to)
        ? undefined
        : all.filter(({ key }) => key !== (moved ? from : to)),
    ).then(
      (unlisted) => moved && unlisted,
      // The move is made: an entry too many names what is gone.
      () => moved,
    )
  }

  /** The session that had this key before it got another one, for as long as it would have been there without. */
  async findMoved(key: string): Promise<SessionRecord | undefined> {
    const text = await this.records.get(MOVED, key)
    if (text === undefined) return undefined
    const { owner, id } = readMoved(text)
    return (await this.list(owner)).find((record) => record.id === id)
  }

  /** Ends those sessions of a subject that are chosen, also such as are opened meanwhile. */
  async end(owner: string, chosen: (session: ListedSession) => boolean): Promise<readonly ListedSession[]> {
    const ended = new Map<string, ListedSession>()
    await this.relist(owner, async (listed) => {
      for (const one of await this.endThese(listed.filter(chosen))) ended.set(one.id, one)
      return listed.filter((one) => !chosen(one))
    })
    return [...ended.values()]
  }

  /** Those of a subject that are there, the oldest first. */
  async list(owner: string): Promise<readonly SessionRecord[]> {
    const found = await this.textsOf(readList(await this.records.get(OWNERS, owner)))
    const records = found.flatMap((text) => (text === undefined ? [] : [readSession(text)]))
    // One that is being moved stands there twice.
    return [...new Map(records.map((record) => [record.id, record])).values()]
  }

  /** What is kept beside a session, sealed. */
  async attachmentOf(key: string): Promise<string | undefined> {
    return this.records.get(ATTACHMENTS, key)
  }

  /** Whose a session of an identity provider is: of more than one subject, where they took turns. */
  async ownersOfSid(issuer: string, sid: string): Promise<readonly string[]> {
    const listed = readOwners(await this.records.get(PROVIDER_SESSIONS, sidKey(issuer, sid)))
    return listed.map(({ owner }) => owner)
  }

  /** Notes whose it is. At the bound, the sessions of the subject that was noted first end. */
  private async own(issuer: string, sid: string, record: SessionRecord): Promise<void> {
    const owner = ownerOf(record)
    const { expiresAt } = record
    await this.lists.change(PROVIDER_SESSIONS, sidKey(issuer, sid), readOwners, async (listed) => {
      const others = listed.filter((one) => one.owner !== owner)
      const excess = others.slice(0, Math.max(others.length - MAX_OWNERS + 1, 0))
      for (const one of excess) await this.end(one.owner, (session) => session.sid === sid)
      return [...others.slice(excess.length), { owner, expiresAt }]
    })
  }

  private async write(key: string, record: SessionRecord, attachment?: string): Promise<void> {
    if (attachment !== undefined)
      await this.records.put(ATTACHMENTS, key, attachment, Math.max(record.expiresAt - record.seenAt, 1))
    await this.records.put(SESSIONS, key, JSON.stringify(record), timeToLive(record, this.rules))
  }

  private async relist(
    owner: string,
    changed: (
      listed: readonly ListedSession[],
    ) => readonly ListedSession[] | undefined | Promise<readonly ListedSession[] | undefined>,
  ): Promise<boolean> {
    return this.lists.change(OWNERS, owner, readList, async (listed) =>
      changed(await this.withoutOver(listed)),
    )
  }

  /** What is over by this clock is asked about: one that is ahead must not make others forget what can be ended. */
  private async withoutOver(listed: readonly ListedSession[]): Promise<readonly ListedSession[]> {
    const now = this.rules.clock.now()
    const over = listed.filter(({ expiresAt }) => expiresAt <= now)
    const left = over.length === 0 ? over : await this.stillThere(over)
    return listed.filter((one) => one.expiresAt > now || left.includes(one))
  }

  private async endThese(sessions: readonly ListedSession[]): Promise<readonly ListedSession[]> {
    const gone = await Promise.all(sessions.map(async (one) => this.remove(one)))
    return sessions.filter((_one, i) => gone[i])
  }

  /** Whether it was there. */
  private async remove({ key, attached }: ListedSession): Promise<boolean> {
    const gone = await this.records.delete(SESSIONS, key)
    if (gone && attached === true) await this.records.delete(ATTACHMENTS, key)
    return gone
  }

  private async stillThere(listed: readonly ListedSession[]): Promise<readonly ListedSession[]> {
    const found = await this.textsOf(listed)
    return listed.filter((_one, i) => found[i] !== undefined)
  }

  private async textsOf(listed: readonly ListedSession[]): Promise<readonly (string | undefined)[]> {
    return getMany(
      this.records,
      SESSIONS,
      listed.map(({ key }) => key),
    )
  }
}

/** Why a session is over, if it is. Left alone for too long, or there for as long as it may be. */
export function faultOf(
  { expiresAt, seenAt }: SessionRecord,
  { idleTimeoutMs }: SessionRules,
  now: number,
): 'session-expired' | 'session-idle' | undefined {
  if (now >= expiresAt) return 'session-expired'
  return now - seenAt >= idleTimeoutMs ? 'session-idle' : undefined
}

/** How long the store keeps it, in milliseconds from its last use. */
export function timeToLive({ expiresAt, seenAt }: SessionRecord, rules: SessionRules): number {
  return Math.max(Math.min(expiresAt - seenAt, rules.idleTimeoutMs), 1)
}

function idsOf(listed: readonly ListedSession[]): readonly string[] {
  return [...new Set(listed.map(({ id }) => id))]
}

function entryOf(key: string, { id, sid, attached, expiresAt }: SessionRecord): ListedSession {
  return { key, id, ...(sid !== undefined && { sid }), ...(attached === true && { attached }), expiresAt }
}

function sidKey(issuer: string, sid: string): string {
  return `${issuer} ${sid}`
}
