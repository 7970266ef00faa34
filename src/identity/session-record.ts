import { hash, randomBytes } from 'node:crypto'
import type { Factor } from '../kernel/authentication.js'
import { StoreUnavailable } from '../kernel/store-unavailable.js'
import { isObject } from '../lib/is-object.js'
import { isFactor, isText, parsed, type Unread } from './record-text.js'

/** Sessions by the hash of their id; those of one subject; and whose a session of an identity provider is. */
export const SESSIONS = 'session'
export const OWNERS = 'session-owner'
export const PROVIDER_SESSIONS = 'session-sid'
/** What is kept beside a session and seldom asked for. */
export const ATTACHMENTS = 'session-attachment'
/** Which session a key was of before it got a new one. */
export const MOVED = 'session-moved'

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

/** Which session a key was of. */
export interface MovedSession {
  readonly owner: string
  readonly id: string
}

/** Whose a session of an identity provider is. */
export interface SidOwner {
  readonly owner: string
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

/** Whether a text is as long as an id; what more there is to ask costs more than to look for it. */
export function mayBeSessionId(text: string): boolean {
  return text.length === ID_LENGTH
}

const ID = /^[A-Za-z0-9_-]{43}$/
const ID_LENGTH = 43

/** Where the store has it: nobody who reads the store can come in with what is there. */
export function keyOf(sessionId: string): string {
  return hash('sha256', sessionId, 'base64url')
}

/** Issuers have no space, so the first one ends them (ASVS 6.8.1). */
export function ownerOf({ issuer, subject }: Pick<SessionRecord, 'issuer' | 'subject'>): string {
  return `${issuer} ${subject}`
}

/** @throws StoreUnavailable for what this package did not write: nobody can say whose it is */
export function readSession(text: string): SessionRecord {
  const record = parsed(text)
  if (isSession(record)) return record
  throw unreadable('a session')
}

/** @throws StoreUnavailable for what this package did not write */
export function readList(text: string | undefined): readonly ListedSession[] {
  return listOf(text, ({ key, id, expiresAt }) => [key, id].every(isText) && Number.isFinite(expiresAt))
}

/** @throws StoreUnavailable for what this package did not write */
export function readOwners(text: string | undefined): readonly SidOwner[] {
  return listOf(text, ({ owner, expiresAt }) => isText(owner) && Number.isFinite(expiresAt))
}

/** @throws StoreUnavailable for what this package did not write */
export function readMoved(text: string): MovedSession {
  const moved = parsed(text)
  const { owner, id }: Unread<MovedSession> = isObject(moved) ? moved : {}
  if (isText(owner) && isText(id)) return moved as MovedSession
  throw unreadable('what became of a session')
}

function listOf<T>(text: string | undefined, isOne: (entry: Unread<T>) => boolean): readonly T[] {
  if (text === undefined) return []
  const list = parsed(text)
  if (Array.isArray(list) && list.every((one) => isObject(one) && isOne(one as Unread<T>))) return list as T[]
  throw unreadable('a list of sessions')
}

function isSession(value: unknown): value is SessionRecord {
  if (!isObject(value)) return false
  const record: Unread<SessionRecord> = value
  return (
    record.v === 1 &&
    [record.id, record.subject, record.issuer].every(isText) &&
    [record.acr, record.sid].every((one) => one === undefined || isText(one)) &&
    [record.authenticatedAt, record.createdAt, record.seenAt, record.expiresAt].every(Number.isFinite) &&
    isObject(record.claims) &&
    Array.isArray(record.factors) &&
    record.factors.every(isFactor) &&
    (record.attached === undefined || record.attached === true)
  )
}

function unreadable(what: string): StoreUnavailable {
  return new StoreUnavailable(`The store has something else than ${what} under the key of one`, 0, 1_000)
}
