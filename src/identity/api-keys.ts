import { checkClock } from '../kernel/check-clock.js'
import { integer, knownKeys } from '../kernel/check.js'
import { consoleLog } from '../kernel/console-log.js'
import { guardedRecords } from '../kernel/guarded.js'
import type { Clock, RecordStore } from '../kernel/ports.js'
import { systemClock } from '../kernel/system-clock.js'
import { prepareSpace, SHARED, type ApiKeyStoreOptions } from './api-key-options.js'
import { LIVE_SECRETS } from './api-key-peppers.js'
import {
  KEYS,
  LAST_USED,
  readRecord,
  timeToLive,
  type KeyFacts,
  type KeyRecord,
  type KeySecret,
} from './api-key-record.js'
import { checkFilter, checkRequest, type CreateKeyOptions } from './api-key-request.js'
import { newId, newKey } from './api-key-text.js'

export type { CreateKeyOptions } from './api-key-request.js'

/** What is known of a key. Its secrets are not: the store has only hashes. */
export interface ApiKeyInfo extends KeyFacts {
  /** The newest first; a second one while its grace lasts. */
  readonly secrets: readonly KeySecret[]
  /** When it was used last, to a minute or so, in milliseconds since 1970. */
  readonly lastUsedAt?: number
}

/** A new key, or a new secret for one. */
export interface NewApiKey {
  /** The key itself, for its owner. It is nowhere else, and cannot be had again. */
  readonly key: string
  readonly info: ApiKeyInfo
}

export interface RotateKeyOptions {
  /** How long the secret before stays good, in milliseconds. Default 86,400,000, a day. 0 ends it at once. */
  graceMs?: number
}

export interface ListKeysFilter {
  /** Whose keys, as `create` was told. Default: everybody's. */
  readonly owner?: string
}

export interface ApiKeysOptions extends ApiKeyStoreOptions {
  /** The clock. Default: the system's. */
  clock?: Clock
  /** How long the store may take to answer, in milliseconds. Default 5,000. Later: the call fails with `StoreUnavailable`. */
  storeTimeoutMs?: number
}

/** The desk where keys are made, changed and ended. */
export interface ApiKeys {
  /** @throws ConfigError for an option that breaks its rule */
  create(options: CreateKeyOptions): Promise<NewApiKey>
  get(id: string): Promise<ApiKeyInfo | undefined>
  /**
   * All keys, or those of one owner; reads the whole store, so it is for operators and not for requests.
   *
   * @throws ConfigError for an unknown filter, and for an owner that is `undefined`
   */
  list(filter?: ListKeysFilter): AsyncGenerator<ApiKeyInfo>
  /**
   * A second secret for a key that goes on. The one before stays good for a while, so that nobody has to change it
   * everywhere in the same moment. `undefined` if there is no such key, or it is over.
   *
   * @throws ConfigError for an unknown option or value
   */
  rotate(id: string, options?: RotateKeyOptions): Promise<NewApiKey | undefined>
  /** Ends a key, now and in every process. `undefined` if there is no such key. */
  revoke(id: string): Promise<ApiKeyInfo | undefined>
}

const DAY_MS = 86_400_000
/** Others write to one key too, but not for long. */
const ATTEMPTS = 20

/**
 * Makes and manages the keys that `apiKey` accepts: give both the same store, pepper and prefix.
 *
 * @example
 * const keys = apiKeys({ store: redis(client), pepper: process.env.API_KEY_PEPPER, prefix: 'acme' })
 * const { key } = await keys.create({ owner: 'partner-7', scopes: ['orders:read'] })
 * @throws ConfigError for a store without records, a weak pepper, and every option that breaks its rule
 */
export function apiKeys(options: ApiKeysOptions): ApiKeys {
  knownKeys('apiKeys', options, [...SHARED, 'clock', 'storeTimeoutMs'], ['store', 'pepper'])
  const { clock = systemClock, storeTimeoutMs = 5_000 } = options
  const { store, peppers, prefix } = prepareSpace('apiKeys', options)
  checkClock('apiKeys.clock', clock)
  const timeoutMs = integer('apiKeys.storeTimeoutMs', storeTimeoutMs, { max: 60_000 })
  const records = guardedRecords(store.records, { clock, log: consoleLog, timeoutMs })

  const makeSecret = (id: string, createdAt: number) => {
    const { key, body } = newKey(prefix, id)
    return { key, secret: { createdAt, ...peppers.hash(body) } }
  }

  /** Reads, changes and writes until nobody wrote in between. */
  const change = async (id: string, changed: (record: KeyRecord) => KeyRecord | undefined) => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const text = await records.get(KEYS, id)
      const next = text === undefined ? undefined : changed(readRecord(text))
      if (next === undefined) return undefined
      if (await records.replace(KEYS, id, text, JSON.stringify(next), timeToLive(next, clock.now())))
        return next
    }
    throw new Error('The key was changed by others all the time; try again')
  }

  return {
    async create(request) {
      const createdAt = clock.now()
      const id = newId()
      const { key, secret } = makeSecret(id, createdAt)
      const record: KeyRecord = {
        v: 1,
        id,
        ...checkRequest(request, createdAt),
        createdAt,
        secrets: [secret],
      }
      if (
        !(await records.replace(KEYS, id, undefined, JSON.stringify(record), timeToLive(record, createdAt)))
      ) {
        throw new Error('There is a key with this id already')
      }
      return { key, info: infoOf(record) }
    },

    async get(id) {
      const text = await records.get(KEYS, id)
      return text === undefined ? undefined : withLastUse(records, readRecord(text))
    },

    // Checked at once, and not when somebody reads on.
    list: (filter = {}) => listed(records, checkFilter(filter)),

    async rotate(id, options = {}) {
      knownKeys('rotate', options, ['graceMs'])
      const { graceMs = DAY_MS } = options
      integer('rotate.graceMs', graceMs, { min: 0, max: 366 * DAY_MS })
      const now = clock.now()
      const { key, secret } = makeSecret(id, now)
      const record = await change(id, (found) => {
        if (found.revokedAt !== undefined || now >= (found.expiresAt ?? Infinity)) return undefined
        const [newest, ...older] = found.secrets
        const graced = { ...newest!, graceUntil: now + graceMs }
        return { ...found, secrets: [secret, graced, ...older].slice(0, LIVE_SECRETS) }
      })
      return record === undefined ? undefined : { key, info: infoOf(record) }
    },

    async revoke(id) {
      const record = await change(id, (found) => ({ ...found, revokedAt: found.revokedAt ?? clock.now() }))
      return record === undefined ? undefined : infoOf(record)
    },
  }
}

async function* listed(records: RecordStore, owner: string | undefined): AsyncGenerator<ApiKeyInfo> {
  const seen = new Set<string>()
  let cursor: string | undefined
  do {
    const page = await records.list(KEYS, cursor)
    for (const text of page.values) {
      const record = readRecord(text)
      if (seen.has(record.id) || (owner !== undefined && record.owner !== owner)) continue
      seen.add(record.id)
      yield await withLastUse(records, record)
    }
    cursor = page.cursor
  } while (cursor !== undefined)
}

function infoOf({ v: _v, secrets, ...facts }: KeyRecord): ApiKeyInfo {
  return { ...facts, secrets: secrets.map(({ hash: _hash, pepper: _pepper, ...secret }) => secret) }
}

async function withLastUse(records: RecordStore, record: KeyRecord): Promise<ApiKeyInfo> {
  const lastUsedAt = await records.get(LAST_USED, record.id)
  return { ...infoOf(record), ...(lastUsedAt !== undefined && { lastUsedAt: Number(lastUsedAt) }) }
}
