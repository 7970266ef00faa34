import { hash, randomBytes } from 'node:crypto'
import type { Factor } from '../kernel/authentication.js'

/** Sessions by the hash of their id; those of one subject; and whose a session of an identity provider is. */
export const SESSIONS = 'session'
export const OWNERS = 'session-owner'
export const PROVIDER_SESSIONS = 'session-sid'
/** What is kept beside a session and seldom asked for. */
export const ATTACHMENTS = 'session-attachment'

/** Who vouches for subjects that are this application's own. No issuer of tokens is called so. */
export const LOCAL_ISSUER = 'session'

/** As it is stored. Times are milliseconds since 1970, those of factors seconds, as in tokens. */
export interface SessionRecord {
  readonly v: 1
  /** What it is called where people see it; no secret, and the same as long as the session lasts. */
  readonly id: string
  readonly subject: string
  readonly issuer: string
  readonly claims: Readonly<Record<string, unknown>>
  readonly factors: readonly Factor[]
  /** When the subject logged in, which is when `acr` was reached: factors that were shown since have times of their own. */
  readonly authenticatedAt: number
  readonly acr?: string
  /** What the identity provider calls its session. */
  readonly sid?: string
  readonly createdAt: number
  readonly seenAt: number
  /** When it ends, however much it is used. */
  readonly expiresAt: number
  /** The application keeps something beside it, sealed with its id. */
  readonly attached?: true
}

/** A session in the list of its subject. */
export interface ListedSession {
  readonly key: string
  readonly id: string
  readonly sid?: string
  readonly attached?: true
  readonly expiresAt: number
}

/** What a browser has of a session: 256 bits, and nothing to be read from them (ASVS 7.2.3). */
export function newSessionId(): string {
  return randomBytes(32).toString('base64url')
}

export function newHandle(): string {
  return randomBytes(12).toString('base64url')
}

export function isSessionId(text: string): boolean {
  return ID.test(text)
}

const ID = /^[A-Za-z0-9_-]{43}$/

/** Where the store has it: nobody who reads the store can come in with what is there. */
export function keyOf(sessionId: string): string {
  return hash('sha256', sessionId, 'base64url')
}

/** Issuers have no space, so the first one ends them (ASVS 6.8.1). */
export function ownerOf({ issuer, subject }: Pick<SessionRecord, 'issuer' | 'subject'>): string {
  return `${issuer} ${subject}`
}

/** @throws TypeError for what this package did not write */
export function readSession(text: string): SessionRecord {
  const record = JSON.parse(text) as Partial<SessionRecord> | null
  if (record?.v === 1 && typeof record.subject === 'string' && Array.isArray(record.factors))
    return record as SessionRecord
  throw new TypeError('The store has something else than a session under the key of one')
}

/** @throws TypeError for what this package did not write */
export function readList(text: string | undefined): readonly ListedSession[] {
  if (text === undefined) return []
  const list: unknown = JSON.parse(text)
  if (Array.isArray(list)) return list as ListedSession[]
  throw new TypeError('The store has something else than a list of sessions under the name of a subject')
}
