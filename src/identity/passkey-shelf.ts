import { randomBytes } from 'node:crypto'
import type { RecordStore } from '../kernel/ports.js'
import { isProblem, type Problem } from '../kernel/problem.js'
import { StoreUnavailable } from '../kernel/store-unavailable.js'
import { invalidProof, notNow } from './factor-refusals.js'
import {
  CREDENTIALS,
  HANDLES,
  PASSKEYS,
  readPasskeys,
  type PasskeyOwner,
  type PasskeyRecord,
  type StoredPasskey,
} from './passkey-record.js'

/** Others write about one subject too, but not for long. */
const TRIES = 20
const KNOWN = 'passkey-known'

export interface ShownPasskey {
  readonly owner: PasskeyOwner
  readonly passkey: StoredPasskey
}

/** What of a passkey changes while it is used. */
type Shown = Pick<StoredPasskey, 'counter' | 'backedUp' | 'lastUsedAt'>

/** The passkeys of all subjects, as they are kept: one record for each subject, and whose a handle and an id of a passkey are. */
export class PasskeyShelf {
  constructor(private readonly records: RecordStore) {}

  async of(subject: string): Promise<PasskeyRecord | undefined> {
    return (await this.find(subject))?.record
  }

  async ownerOfHandle(handle: unknown): Promise<string | undefined> {
    if (typeof handle !== 'string' || !/^[\w-]{43}$/.test(handle)) return undefined
    return this.records.get(HANDLES, handle)
  }

  /** The handle of a subject that has none yet. */
  async newHandle(subject: string): Promise<string> {
    const { records } = this
    const handle = randomBytes(32).toString('base64url')
    const owner: PasskeyOwner = { id: subject, subject }
    const record: PasskeyRecord = { v: 1, owner, handle, passkeys: [] }
    await records.put(HANDLES, handle, subject)
    if (await records.replace(PASSKEYS, subject, undefined, JSON.stringify(record))) return handle
    await records.delete(HANDLES, handle)
    const text = await records.get(PASSKEYS, subject)
    if (text === undefined) throw busy()
    return readPasskeys(text).handle
  }

  async add(owner: PasskeyOwner, passkey: StoredPasskey, maxPasskeys: number): Promise<Problem | undefined> {
    const { records } = this
    const { id } = owner
    // W3C WebAuthn section 7.1: the id of a credential is nobody else's.
    const isNew = await records.replace(CREDENTIALS, passkey.id, undefined, id)
    if (!isNew && (await records.get(CREDENTIALS, passkey.id)) !== id) return known()
    const outcome = await this.change(id, (record) => {
      if (record === undefined) return notNow('passkey-not-begun', 'No registration was begun; begin anew')
      if (record.passkeys.length >= maxPasskeys) return full()
      if (record.passkeys.some((one) => one.id === passkey.id)) return known()
      return { ...record, owner, passkeys: [...record.passkeys, passkey] }
    })
    if (!isProblem(outcome)) return undefined
    // One that is known is there by another page of the same subject, which was faster.
    if (isNew && outcome.rule !== KNOWN) await records.delete(CREDENTIALS, passkey.id)
    return outcome
  }

  /** W3C WebAuthn section 6.1.1: a counter that does not go up was copied, or somebody used the copy. */
  async note(owner: string, id: string, now: Shown): Promise<ShownPasskey | Problem> {
    let shown: StoredPasskey | undefined
    const outcome = await this.change(owner, (record) => {
      const known = record?.passkeys.find((one) => one.id === id)
      if (record === undefined || known === undefined) return invalidProof('passkey-unknown')
      if ((now.counter > 0 || known.counter > 0) && now.counter <= known.counter)
        return invalidProof('passkey-counter')
      const used = { ...known, ...now }
      shown = used
      return { ...record, passkeys: record.passkeys.map((one) => (one.id === id ? used : one)) }
    })
    return isProblem(outcome) ? outcome : { owner: outcome.owner, passkey: shown! }
  }

  /** Whether there was one. */
  async remove(subject: string, id: unknown): Promise<boolean> {
    const outcome = await this.change(subject, (record) => {
      if (record?.passkeys.some((one) => one.id === id) !== true)
        return notNow('passkey-unknown', 'There is no such passkey')
      return { ...record, passkeys: record.passkeys.filter((one) => one.id !== id) }
    })
    if (isProblem(outcome)) return false
    await this.records.delete(CREDENTIALS, String(id))
    return true
  }

  private async find(
    subject: string,
  ): Promise<{ readonly text: string; readonly record: PasskeyRecord } | undefined> {
    const text = await this.records.get(PASSKEYS, subject)
    return text === undefined ? undefined : { text, record: readPasskeys(text) }
  }

  /** Reads, changes and writes until nobody wrote in between. */
  private async change(
    subject: string,
    changed: (record: PasskeyRecord | undefined) => PasskeyRecord | Problem,
  ): Promise<PasskeyRecord | Problem> {
    for (let i = 0; i < TRIES; i++) {
      const found = await this.find(subject)
      const next = changed(found?.record)
      if (isProblem(next)) return next
      if (await this.records.replace(PASSKEYS, subject, found?.text, JSON.stringify(next))) return next
    }
    throw busy()
  }
}

export function full(): Problem {
  return notNow('passkey-limit', 'There are as many passkeys as there may be; remove one first')
}

function known(): Problem {
  return notNow(KNOWN, 'This passkey is registered already')
}

function busy(): StoreUnavailable {
  return new StoreUnavailable('The passkeys of the subject were changed by others all the time', 0, 1_000)
}
