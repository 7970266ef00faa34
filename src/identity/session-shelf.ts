import { getMany } from '../kernel/many-records.js'
import type { RecordStore } from '../kernel/ports.js'
import type { SessionRules } from './session-options.js'
import {
  ATTACHMENTS,
  ownerOf,
  OWNERS,
  PROVIDER_SESSIONS,
  readList,
  readSession,
  SESSIONS,
  type ListedSession,
  type SessionRecord,
} from './session-record.js'

/** Others write to the list of one subject too, but not for long. */
const ATTEMPTS = 20

/** What became of a session that was to be opened. */
export type Opened = { readonly ended: readonly ListedSession[] } | 'full'

/**
 * Sessions in the store, and the list of each subject's. A browser knows of a session only once it stands in the list, and
 * it leaves the list only once its record is gone: whoever ends all that is in the list has ended all there are, whatever
 * others do at the same time, and wherever a process dies in between.
 */
export class SessionShelf {
  constructor(
    private readonly records: RecordStore,
    private readonly rules: SessionRules,
  ) {}

  async find(key: string): Promise<SessionRecord | undefined> {
    const text = await this.records.get(SESSIONS, key)
    return text === undefined ? undefined : readSession(text)
  }

  /** Puts a new session into the list of its subject; at the bound, the oldest ones end, or there is none. */
  async open(key: string, record: SessionRecord, attachment?: string): Promise<Opened> {
    const { records } = this
    await this.write(key, record, attachment)
    if (record.sid !== undefined) {
      const ttl = record.expiresAt - record.createdAt
      await records.put(PROVIDER_SESSIONS, sidKey(record.issuer, record.sid), ownerOf(record), ttl)
    }
    const ended: ListedSession[] = []
    const added = await this.relist(ownerOf(record), async (listed) => {
      let others = listed
      // Those that were left alone for too long are gone from the store, but not from the list.
      if (others.length >= this.rules.maxSessions) others = await this.stillThere(others)
      const excess = others.length - this.rules.maxSessions + 1
      if (excess > 0) {
        if (this.rules.whenFull === 'refuse') return undefined
        ended.push(...(await this.endThese(others.slice(0, excess))))
        others = others.slice(excess)
      }
      return [...others, entryOf(key, record)]
    })
    if (added) return { ended }
    await this.remove(entryOf(key, record))
    return 'full'
  }

  /** The same session under another key. Whether it was still there: of those who move it at once, one does. */
  async move(from: string, to: string, record: SessionRecord, attachment?: string): Promise<boolean> {
    await this.write(to, record, attachment)
    const moved =
      (await this.remove(entryOf(from, record))) &&
      (await this.relist(ownerOf(record), (listed) =>
        listed.some(({ key }) => key === from)
          ? listed.map((one) => (one.key === from ? entryOf(to, record) : one))
          : undefined,
      ))
    // Somebody ended it meanwhile.
    if (!moved) await this.remove(entryOf(to, record))
    return moved
  }

  /** Ends those sessions of a subject that are chosen, also such as are opened meanwhile. */
  async end(owner: string, chosen: (session: ListedSession) => boolean): Promise<readonly ListedSession[]> {
    const ended: ListedSession[] = []
    await this.relist(owner, async (listed) => {
      ended.push(...(await this.endThese(listed.filter(chosen))))
      return listed.filter((one) => !chosen(one))
    })
    return ended
  }

  /** Those of a subject that are there, the oldest first. */
  async list(owner: string): Promise<readonly SessionRecord[]> {
    const found = await this.textsOf(readList(await this.records.get(OWNERS, owner)))
    return found.flatMap((text) => (text === undefined ? [] : [readSession(text)]))
  }

  /** What is kept beside a session, sealed. */
  async attachmentOf(key: string): Promise<string | undefined> {
    return this.records.get(ATTACHMENTS, key)
  }

  /** Whose a session of an identity provider is. */
  async ownerOfSid(issuer: string, sid: string): Promise<string | undefined> {
    return this.records.get(PROVIDER_SESSIONS, sidKey(issuer, sid))
  }

  private async write(key: string, record: SessionRecord, attachment?: string): Promise<void> {
    if (attachment !== undefined)
      await this.records.put(ATTACHMENTS, key, attachment, Math.max(record.expiresAt - record.seenAt, 1))
    await this.records.put(SESSIONS, key, JSON.stringify(record), timeToLive(record, this.rules))
  }

  /** Changes the list of a subject until nobody else did in between. Whether it did: `undefined` leaves it as it is. */
  private async relist(
    owner: string,
    changed: (
      listed: readonly ListedSession[],
    ) => readonly ListedSession[] | undefined | Promise<readonly ListedSession[] | undefined>,
  ): Promise<boolean> {
    const { records, rules } = this
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const now = rules.clock.now()
      const text = await records.get(OWNERS, owner)
      const next = await changed(readList(text).filter(({ expiresAt }) => expiresAt > now))
      if (next === undefined) return false
      if (text === undefined && next.length === 0) return true
      const ttl = Math.max(...next.map(({ expiresAt }) => expiresAt - now), 1)
      if (await records.replace(OWNERS, owner, text, JSON.stringify(next), ttl)) return true
    }
    throw new Error('The sessions of the subject were changed by others all the time; try again')
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

function entryOf(key: string, { id, sid, attached, expiresAt }: SessionRecord): ListedSession {
  return { key, id, ...(sid !== undefined && { sid }), ...(attached === true && { attached }), expiresAt }
}

function sidKey(issuer: string, sid: string): string {
  return `${issuer} ${sid}`
}
