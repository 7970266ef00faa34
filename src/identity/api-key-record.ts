import type { HashedSecret } from './api-key-peppers.js'

/** The space of API keys in the store, and that of the moments at which they were last used. */
export const KEYS = 'api-key'
export const LAST_USED = 'api-key-used'

/** How many requests a key may make. */
export interface KeyLimit {
  /** Requests per window. */
  readonly limit: number
  /** Length of a window, in milliseconds. */
  readonly windowMs: number
}

/** What is known of an API key, apart from its secrets. All times are milliseconds since 1970. */
export interface KeyFacts {
  /** The second part of the key; no secret. */
  readonly id: string
  /** Who it was given to: the subject of its principal. */
  readonly owner: string
  /** What it is for, in the words of whoever made it. */
  readonly name?: string
  readonly scopes: readonly string[]
  readonly roles: readonly string[]
  /** CIDR ranges from which it may be used; empty: from everywhere. */
  readonly cidrs: readonly string[]
  readonly limit?: KeyLimit
  readonly createdAt: number
  readonly expiresAt?: number
  readonly revokedAt?: number
}

/** A secret of a key. The newest one comes first. */
export interface KeySecret {
  readonly createdAt: number
  /** Until when it is good beside the newer one. */
  readonly graceUntil?: number
}

/** As it is stored. */
export interface KeyRecord extends KeyFacts {
  readonly v: 1
  readonly secrets: readonly (KeySecret & HashedSecret)[]
}

/** A key that is over stays known for 90 days, so that whoever still uses it is noticed. */
const REMEMBERED_MS = 90 * 86_400_000

/** @throws TypeError for what this package did not write */
export function readRecord(text: string): KeyRecord {
  const record = JSON.parse(text) as Partial<KeyRecord> | null
  if (record?.v === 1 && Array.isArray(record.secrets)) return record as KeyRecord
  throw new TypeError('The store has something else than an API key under the id of one')
}

/** How long the store keeps it, in milliseconds; `undefined` is for ever. */
export function timeToLive(
  { expiresAt = Infinity, revokedAt = Infinity }: KeyFacts,
  now: number,
): number | undefined {
  const end = Math.min(expiresAt, revokedAt)
  return end === Infinity ? undefined : Math.max(end + REMEMBERED_MS - now, 1)
}
