import { integer, knownKeys, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { scopeName } from '../kernel/scope.js'
import { checkCidrs } from './api-key-addresses.js'
import type { KeyFacts, KeyLimit } from './api-key-record.js'

/** What a new key may do. */
export interface CreateKeyOptions {
  /** Who gets it, such as the name of a customer: the subject of its principal. 1 to 200 characters. Required. */
  owner: string
  /** What it is for, for people. Default: none. At most 200 characters. */
  name?: string
  /** What it may do (RFC 6749 section 3.3). Default: none. A rule that asks for another one: 403 `forbidden`. */
  scopes?: readonly string[]
  /** Its roles, as `rbac` knows them. Default: none. */
  roles?: readonly string[]
  /** CIDR ranges from which it may be used, one at least. Default: from everywhere. From elsewhere: 401 `invalid-api-key`. */
  cidrs?: readonly string[]
  /** How many requests it may make in a window. Default: no limit of its own. More: 429 `quota-exceeded`. */
  limit?: KeyLimit
  /** When it ends, in milliseconds since 1970. Default: never; better give it an end. Later: 401 `invalid-api-key`. */
  expiresAt?: number
  /** Instead of `expiresAt`: how long it is good, in milliseconds from now. Default: what `expiresAt` says. */
  lifetimeMs?: number
}

const KNOWN = ['owner', 'name', 'scopes', 'roles', 'cidrs', 'limit', 'expiresAt', 'lifetimeMs']
const MAX_ENTRIES = 100
const MAX_LENGTH = 200
/** A hundred years. */
const MAX_LIFETIME_MS = 36_525 * 86_400_000

/** @throws ConfigError naming option, rule and value */
export function checkRequest(options: CreateKeyOptions, now: number): Omit<KeyFacts, 'id' | 'createdAt'> {
  knownKeys('create', options, KNOWN, KNOWN)
  const { owner, name, scopes = [], roles = [], cidrs, limit } = options
  const expiresAt = endOf(options, now)
  return {
    owner: text('create.owner', owner),
    ...(name !== undefined && { name: text('create.name', name) }),
    scopes: listOf('create.scopes', scopes, scopeName),
    roles: listOf('create.roles', roles, text),
    cidrs: cidrs === undefined ? [] : ranges('create.cidrs', cidrs),
    ...(limit !== undefined && { limit: checkLimit(limit) }),
    ...(expiresAt !== undefined && { expiresAt }),
  }
}

/** Whose keys to list; `undefined` is everybody's. @throws ConfigError for a filter that would filter nothing */
export function checkFilter(filter: { readonly owner?: string }): string | undefined {
  knownKeys('list', filter, ['owner'], ['owner'])
  return filter.owner === undefined ? undefined : text('list.owner', filter.owner)
}

function endOf({ expiresAt, lifetimeMs }: CreateKeyOptions, now: number): number | undefined {
  if (lifetimeMs !== undefined) {
    if (expiresAt !== undefined)
      throw new ConfigError('create has expiresAt and lifetimeMs; give one of them')
    return now + integer('create.lifetimeMs', lifetimeMs, { max: MAX_LIFETIME_MS })
  }
  if (expiresAt === undefined || integer('create.expiresAt', expiresAt) > now) return expiresAt
  throw new ConfigError('create.expiresAt must be in the future, in milliseconds since 1970')
}

function checkLimit(limit: KeyLimit): KeyLimit {
  knownKeys('create.limit', limit, ['limit', 'windowMs'])
  return {
    limit: integer('create.limit.limit', limit.limit, { max: 1e15 }),
    windowMs: integer('create.limit.windowMs', limit.windowMs, { min: 1_000, max: 366 * 86_400_000 }),
  }
}

function ranges(option: string, cidrs: unknown): readonly string[] {
  const given = checkCidrs(option, listOf(option, cidrs, text))
  if (given.length > 0) return given
  throw new ConfigError(
    `${option} is empty; name a range, or leave the key out to let it be used from everywhere`,
  )
}

function listOf(option: string, list: unknown, check: (option: string, value: unknown) => string): string[] {
  if (!Array.isArray(list) || list.length > MAX_ENTRIES) {
    throw new ConfigError(`${option} must be a list of at most ${MAX_ENTRIES} texts, got ${show(list)}`)
  }
  return list.map((one) => check(option, one))
}

function text(option: string, value: unknown): string {
  const fits = typeof value === 'string' && value.length >= 1 && value.length <= MAX_LENGTH
  if (fits && /^[^\p{Cc}\p{Cs}]+$/u.test(value)) return value
  throw new ConfigError(
    `${option} must be 1 to ${MAX_LENGTH} characters without control characters, got ${show(value)}`,
  )
}
