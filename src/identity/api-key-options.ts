import { integer, knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { isTakenField } from '../kernel/field-names.js'
import type { RecordStore, Store } from '../kernel/ports.js'
import type { Secret } from '../kernel/secret.js'
import { checkStore } from '../kernel/store-ports.js'
import { Peppers } from './api-key-peppers.js'
import { keyPrefix } from './api-key-text.js'

/** What checking keys and managing them must agree on. */
export interface ApiKeyStoreOptions {
  /**
   * Where the keys are: `redis(client)`, `postgres(pool)` or `memory()`. Required. While it is away: 503 `store-unavailable`. Limits of
   * keys are counted there too, if it counts; else in the store of the API, or by each process for itself.
   */
  store: Store
  /**
   * The secret under which secrets are hashed (HMAC-SHA-256), at least 32 bytes; keep it apart from the store. Required. To change it, give a
   * list of up to 5, the new one first: keys that are used move to it by themselves, and the others are good until theirs is left out.
   */
  pepper: Secret | readonly Secret[]
  /**
   * Begins every key, so that people and secret scanners recognise it: 2 to 31 lower-case letters and digits with single underscores between
   * them. Default `'apikey'`; better a name of your own. Keys with another one: 401 `invalid-api-key`.
   */
  prefix?: string
}

export interface ApiKeyOptions extends ApiKeyStoreOptions {
  /** The header field that has the key and nothing else. Default `'X-API-Key'`. */
  header?: string
  /** Instead of `header`: the scheme of the `Authorization` field, such as `'ApiKey'`. Default: none. */
  scheme?: string
  /**
   * How long before its end a key is announced to end, in milliseconds, by the field `API-Key-Expires` of every reply. Default 1,209,600,000,
   * two weeks. A secret that was replaced is always announced. 0 announces no other.
   */
  noticeMs?: number
  /** How often each process notes that a key is used, in milliseconds. Default 60,000. 0 never notes it. */
  lastUsedMs?: number
  /** How many verified keys are remembered, some 800 bytes each; their records are read each time all the same. Default 10,000. 0: none. */
  cacheEntries?: number
  /** The `realm` of challenges. Default `'api'`. */
  realm?: string
}

/** Where a key stands in a request. */
export type Place = { readonly field: string; readonly shown: string } | { readonly scheme: string }

export interface KeySpace {
  readonly store: Store & { readonly records: RecordStore }
  readonly peppers: Peppers
  readonly prefix: string
}

export interface ApiKeyRules extends KeySpace {
  readonly place: Place
  readonly noticeMs: number
  readonly lastUsedMs: number
  readonly cacheEntries: number
}

export const SHARED = ['store', 'pepper', 'prefix']
const KNOWN = [...SHARED, 'header', 'scheme', 'noticeMs', 'lastUsedMs', 'cacheEntries', 'realm']
const TOKEN = /^[A-Za-z][A-Za-z0-9-]{1,63}$/
/** Schemes that already mean something else. */
const TAKEN = ['bearer', 'basic', 'dpop', 'digest', 'negotiate']

/** @throws ConfigError naming option, rule, value and fix */
export function prepareApiKey(options: ApiKeyOptions): ApiKeyRules {
  knownKeys('apiKey', options, KNOWN, ['store', 'pepper'])
  const { noticeMs = 1_209_600_000, lastUsedMs = 60_000, cacheEntries = 10_000 } = options
  return {
    ...prepareSpace('apiKey', options),
    place: placeOf(options),
    noticeMs: integer('apiKey.noticeMs', noticeMs, { min: 0 }),
    lastUsedMs: integer('apiKey.lastUsedMs', lastUsedMs, { min: 0 }),
    cacheEntries: integer('apiKey.cacheEntries', cacheEntries, { min: 0 }),
  }
}

/** @throws ConfigError */
export function prepareSpace(
  name: string,
  { store, pepper, prefix = 'apikey' }: ApiKeyStoreOptions,
): KeySpace {
  return {
    store: checkStore(`${name}.store`, store, 'records') as KeySpace['store'],
    peppers: new Peppers(`${name}.pepper`, pepper),
    prefix: keyPrefix(`${name}.prefix`, prefix),
  }
}

function placeOf({ header, scheme }: ApiKeyOptions): Place {
  if (header !== undefined && scheme !== undefined) {
    throw new ConfigError('apiKey has header and scheme; a key stands in one place, so give one of them')
  }
  if (scheme !== undefined) return { scheme: name('apiKey.scheme', scheme) }
  const shown = name('apiKey.header', header === undefined ? 'X-API-Key' : header)
  return { field: shown.toLowerCase(), shown }
}

function name(option: string, value: unknown): string {
  if (typeof value !== 'string' || !TOKEN.test(value)) {
    throw new ConfigError(`${option} must be 2 to 64 letters, digits and hyphens, got ${show(value)}`)
  }
  if (!TAKEN.includes(value.toLowerCase()) && !isTakenField(value)) return value
  const instead = /^authorization$/i.test(value)
    ? "for Authorization write scheme: 'ApiKey'"
    : `'${option === 'apiKey.header' ? 'X-API-Key' : 'ApiKey'}' is usual`
  throw new ConfigError(`${option} cannot be ${value}, which has another meaning; ${instead}`)
}
