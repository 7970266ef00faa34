import { knownKeys, oneOf, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { argon2 } from './argon2.js'
import { COSTS, formatHash, hashOfNobody, isPassword, makeHash, parseHash } from './password-hash.js'

export interface HashPasswordOptions {
  /** `'argon2id'` is stronger, and needs Node 24.7 or the package `@node-rs/argon2`. Default `'scrypt'`. */
  algorithm?: 'scrypt' | 'argon2id'
}

/** Longer ones are refused: hashing is work, and nobody types so much. In bytes. */
export const MAX_PASSWORD_BYTES = 1_024

/**
 * Hashes a password, with a salt of its own, at the cost that OWASP asks for: what `basic` compares with, and what to keep.
 *
 * @example
 * const hash = await hashPassword(password) // $scrypt$ln=15,r=8,p=3$...
 * @throws ConfigError for what is no password, and where `argon2id` is not to be had
 */
export async function hashPassword(password: string, options: HashPasswordOptions = {}): Promise<string> {
  knownKeys('hashPassword', options, ['algorithm'])
  const { algorithm = 'scrypt' } = options
  oneOf('hashPassword.algorithm', algorithm, ['scrypt', 'argon2id'])
  if (!isText(password))
    throw new ConfigError(
      `hashPassword: a password must be a text of 1 to ${MAX_PASSWORD_BYTES} bytes, got ${show(password)}`,
    )
  if (algorithm === 'argon2id') argon2()
  return formatHash(await makeHash(password, { algorithm, cost: COSTS[algorithm] }))
}

/**
 * Whether a password is the one of a hash, for a login of your own. For a user that does not exist give `undefined`: it is
 * as much work, and never true (ASVS 6.3.8).
 *
 * @throws ConfigError for a hash that `hashPassword` could not have made
 */
export async function verifyPassword(password: string, hash: string | undefined): Promise<boolean> {
  if (!isText(password)) return false
  const expected = hash === undefined ? NOBODY : parseHash(hash)
  if (expected === undefined)
    throw new ConfigError('verifyPassword: the hash is none, or of a cost that is not accepted')
  return (await isPassword(password, expected)) && hash !== undefined
}

const NOBODY = hashOfNobody('scrypt')

function isText(password: unknown): password is string {
  if (typeof password !== 'string' || password === '') return false
  return password.length <= MAX_PASSWORD_BYTES && Buffer.byteLength(password) <= MAX_PASSWORD_BYTES
}
