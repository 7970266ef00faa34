import { boolean, func, integer, knownKeys, membersOf, oneOf, quoted, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import type { Later, Store } from '../kernel/ports.js'
import { checkStore } from '../kernel/store-ports.js'
import { argon2 } from './argon2.js'
import { isName } from './basic-credentials.js'
import { parseHash, type PasswordAlgorithm, type PasswordHash } from './password-hash.js'

/** What is known of a user. */
export interface BasicUser {
  /** The hash of the password, as `hashPassword` makes it. Required. */
  readonly hash: string
  /** Who it is, if the name may change: the subject of the principal. Default: the name. */
  readonly subject?: string
  /** What is said about the user, such as `roles`; access rules look here. Default: nothing. */
  readonly claims?: Readonly<Record<string, unknown>>
}

export interface BasicOptions {
  /** The user of a name, which is in NFC; `undefined` if there is none. An object of hashes by name will do. Required. If it fails: 503 `identity-provider-unavailable`. */
  users:
    Readonly<Record<string, string | BasicUser>> | ((name: string) => Later<string | BasicUser | undefined>)
  /** Where failed attempts are counted, for all processes. Default: the store of the API, or the memory of this process. While it is away: 503 `store-unavailable`. */
  store?: Store
  /** Hashes that are accepted; the first one is what a name that nobody has costs, until a user was seen. Default `['scrypt']`. */
  algorithms?: readonly ('scrypt' | 'argon2id')[]
  /** How many passwords are hashed at once; each takes some 32 MiB. 20 more wait, 4 of one address. Default 2. Others: 503 `identity-provider-unavailable`. */
  maxHashing?: number
  /** How many good passwords are remembered in this process, as keyed hashes, some 300 bytes each: nobody hashes for every request. Default 1,000. 0: none. */
  cacheEntries?: number
  /** How long `users` may take, in milliseconds. Default 1,000. Later: 503 `identity-provider-unavailable`. */
  lookupTimeoutMs?: number
  /** Lets clients on this machine come over plain HTTP, unless a field says that the request was forwarded; not for a machine whose proxy adds none. Default false. Others: 403 `tls-required`. */
  allowInsecureLoopback?: boolean
  /** The `realm` of challenges. Default `'api'`. */
  realm?: string
}

export interface KnownUser {
  readonly hash: string
  readonly subject: string | undefined
  readonly claims: Readonly<Record<string, unknown>>
  readonly parsed: PasswordHash
}

export interface BasicRules {
  readonly find: (name: string) => unknown
  readonly store: Store | undefined
  readonly algorithms: readonly PasswordAlgorithm[]
  readonly maxHashing: number
  readonly cacheEntries: number
  readonly lookupTimeoutMs: number
  readonly allowInsecureLoopback: boolean
}

const SUBJECT = /^[^\p{Cc}]+$/u

const KNOWN = [
  ...['users', 'store', 'algorithms', 'maxHashing', 'cacheEntries', 'lookupTimeoutMs'],
  ...['allowInsecureLoopback', 'realm'],
]

/** @throws ConfigError naming option, rule, value and fix */
export function prepareBasic(options: BasicOptions): BasicRules {
  knownKeys('basic', options, KNOWN, ['users'])
  const { users, store, algorithms = ['scrypt'], maxHashing = 2, cacheEntries = 1_000 } = options
  const { lookupTimeoutMs = 1_000, allowInsecureLoopback = false } = options
  if (!Array.isArray(algorithms) || algorithms.length === 0)
    throw new ConfigError(`basic.algorithms must list 'scrypt', 'argon2id' or both, got ${show(algorithms)}`)
  const accepted = algorithms.map((one, i) =>
    oneOf<PasswordAlgorithm>(`basic.algorithms[${i}]`, one, ['scrypt', 'argon2id']),
  )
  if (accepted.includes('argon2id')) argon2()
  return {
    find: typeof users === 'function' ? func('basic.users', users) : findIn(users, accepted),
    store: store === undefined ? undefined : checkStore('basic.store', store, 'records'),
    algorithms: accepted,
    maxHashing: integer('basic.maxHashing', maxHashing, { max: 64 }),
    cacheEntries: integer('basic.cacheEntries', cacheEntries, { min: 0 }),
    lookupTimeoutMs: integer('basic.lookupTimeoutMs', lookupTimeoutMs, { max: 60_000 }),
    allowInsecureLoopback: boolean('basic.allowInsecureLoopback', allowInsecureLoopback),
  }
}

/** All of them are looked at once, so that a bad hash is found at start. */
function findIn(users: unknown, accepted: readonly PasswordAlgorithm[]): BasicRules['find'] {
  const known = new Map<string, BasicUser>()
  for (const [given, user] of membersOf('basic.users', users, 'of hashes by name, or a function')) {
    const option = `basic.users[${quoted(given)}]`
    const name = given.normalize('NFC')
    if (!isName(name))
      throw new ConfigError(
        `${option} is a name that nobody can send: it must have 1 to 255 bytes, no colon and no control character`,
      )
    if (known.has(name))
      throw new ConfigError(`${option} stands there twice, in two spellings of Unicode; leave one out`)
    const { hash, subject, claims } = readUser(option, user, accepted)
    known.set(name, { hash, subject: subject ?? given, claims })
  }
  return (name) => known.get(name)
}

/** A user as it was given, and its hash made ready. @throws ConfigError for whatever could not be compared with */
export function readUser(option: string, given: unknown, accepted: readonly PasswordAlgorithm[]): KnownUser {
  const user = typeof given === 'string' ? { hash: given } : given
  knownKeys(option, user, ['hash', 'subject', 'claims'], ['hash'])
  const { hash, subject, claims = {} } = user as BasicUser
  const parsed = parseHash(hash)
  if (parsed === undefined || !accepted.includes(parsed.algorithm))
    throw new ConfigError(
      `${option} must have a hash that hashPassword made, of ${accepted.join(' or ')}; passwords themselves are never kept`,
    )
  if (subject !== undefined && (typeof subject !== 'string' || !SUBJECT.test(subject)))
    throw new ConfigError(`${option}.subject must be a text without control characters, got ${show(subject)}`)
  membersOf(`${option}.claims`, claims, 'of claims')
  return { hash, subject, claims, parsed }
}
