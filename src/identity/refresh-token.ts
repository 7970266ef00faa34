import { createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Claims } from './claims.js'
import type { Authentication } from '../kernel/authentication.js'
import { StoreUnavailable } from '../kernel/store-unavailable.js'
import { isObject } from '../lib/is-object.js'
import { areFactors } from './factor-times.js'
import { isText, parsed, type Unread } from './record-text.js'

/** The space of refresh tokens in the store. */
export const FAMILIES = 'refresh-token'

/** All refresh tokens that follow from one login. One of them is good at a time. All times are milliseconds since 1970. */
export interface Family {
  readonly v: 1
  /** The session, as access tokens name it. Not the key of this record: whoever sees an access token must not be able to find it. */
  readonly sid: string
  readonly subject: string
  readonly clientId: string
  readonly scope?: string
  readonly claims: Claims
  readonly authentication: Authentication
  /** The thumbprint of the key without which its tokens are worth nothing (RFC 9449 section 5). */
  readonly jkt?: string
  readonly startedAt: number
  /** When the family is over, however often it is refreshed. */
  readonly endsAt: number
  /** When it is over unless it is refreshed before. */
  readonly idleAt: number
  /** The hash of the token that is good now. */
  readonly current: string
  /** The one before: for a client that has not received its successor. */
  readonly previous?: { readonly hash: string; readonly salt: string; readonly until: number } | undefined
}

/** A refresh token taken apart. */
export interface RefreshToken {
  /** Under which its family is found. Only who has had a token of the family knows it. */
  readonly handle: string
  readonly secret: Buffer
}

/** Under which the login of a token is found at this issuer, and at no other one over the same store. An issuer contains no space. */
export function familyKey({ issuer }: { readonly issuer: string }, { handle }: RefreshToken): string {
  return `${issuer} ${handle}`
}

/** So that people and secret scanners recognise one. */
const PREFIX = 'rt_'
const HANDLE_BYTES = 16
const SECRET_BYTES = 32
/** 48 bytes: base64url without padding has one spelling for them. */
const FORM = /^rt_([\w-]{64})$/

export function newRefreshToken(): RefreshToken {
  return { handle: randomBytes(HANDLE_BYTES).toString('base64url'), secret: randomBytes(SECRET_BYTES) }
}

export function refreshTokenText({ handle, secret }: RefreshToken): string {
  return PREFIX + Buffer.concat([Buffer.from(handle, 'base64url'), secret]).toString('base64url')
}

/** `undefined` for whatever is no refresh token of ours. */
export function parseRefreshToken(text: unknown): RefreshToken | undefined {
  const body = typeof text === 'string' ? FORM.exec(text)?.[1] : undefined
  if (body === undefined) return undefined
  const bytes = Buffer.from(body, 'base64url')
  return {
    handle: bytes.subarray(0, HANDLE_BYTES).toString('base64url'),
    secret: bytes.subarray(HANDLE_BYTES),
  }
}

/** What is kept of a secret. It is 256 random bits, so nothing slow is needed to keep it from being guessed. */
export function hashOf(secret: Buffer): string {
  return hash('sha256', secret, 'base64url')
}

/** The token that follows on this one, where it can be asked for again: only who has this one can work it out, even with the salt. */
export function successorOf({ handle, secret }: RefreshToken, salt: string): RefreshToken {
  return { handle, secret: createHmac('sha256', secret).update(`secure-api: successor ${salt}`).digest() }
}

export function newSalt(): string {
  return randomBytes(16).toString('base64url')
}

/**
 * What a token is to its family: the one that is good; the one before, whose successor nobody has used yet; or one that was used
 * before, or never existed: somebody has a copy.
 */
export function placeOf(family: Family, token: RefreshToken, now: number): 'current' | 'before' | 'reused' {
  const shown = hashOf(token.secret)
  if (isSame(shown, family.current)) return 'current'
  const { previous } = family
  const again = previous !== undefined && now < previous.until && isSame(shown, previous.hash)
  return again && hashOf(successorOf(token, previous.salt).secret) === family.current ? 'before' : 'reused'
}

function isSame(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other))
}

/** @throws StoreUnavailable for what this package did not write: nobody can say whose login it is, or until when */
export function readFamily(text: string): Family {
  const family = parsed(text)
  if (isFamily(family)) return family
  throw new StoreUnavailable('The store has something else than a login under the handle of one', 0, 1_000)
}

function isFamily(value: unknown): value is Family {
  if (!isObject(value)) return false
  const { v, sid, subject, clientId, scope, current, ...rest }: Unread<Family> = value
  return (
    v === 1 &&
    [sid, subject, clientId, current].every(isText) &&
    [scope, rest.jkt].every((one) => one === undefined || isText(one)) &&
    isObject(rest.claims) &&
    isAuthentication(rest.authentication) &&
    [rest.startedAt, rest.endsAt, rest.idleAt].every(Number.isFinite) &&
    (rest.previous === undefined || isPrevious(rest.previous))
  )
}

function isAuthentication(value: unknown): boolean {
  if (!isObject(value)) return false
  const { at, acr, amr, factors }: Unread<Authentication> = value
  return (
    Number.isFinite(at) &&
    (acr === undefined || isText(acr)) &&
    Array.isArray(amr) &&
    amr.every(isText) &&
    (factors === undefined || areFactors(factors))
  )
}

function isPrevious(value: unknown): boolean {
  if (!isObject(value)) return false
  const { hash: kept, salt, until }: Unread<NonNullable<Family['previous']>> = value
  return isText(kept) && isText(salt) && Number.isFinite(until)
}
