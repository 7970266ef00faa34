import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { argon2 } from './argon2.js'

/** How much work one hash takes, by the names of its text. */
export interface ScryptCost {
  /** Base-2 logarithm of `N`: 15 takes 32 MiB. */
  readonly ln: number
  readonly r: number
  readonly p: number
}

export interface Argon2Cost {
  /** KiB of memory. */
  readonly m: number
  readonly t: number
  readonly p: number
}

/** A hash in the form of PHC strings: `$scrypt$ln=15,r=8,p=3$salt$hash`. */
export type PasswordHash = { readonly salt: Buffer; readonly hash: Buffer } & (
  | { readonly algorithm: 'scrypt'; readonly cost: ScryptCost }
  | { readonly algorithm: 'argon2id'; readonly cost: Argon2Cost }
)

export type PasswordAlgorithm = PasswordHash['algorithm']

/** What OWASP asks for, in its form for 32 MiB, and for Argon2id in that for 19 MiB. */
export const COSTS = {
  scrypt: { ln: 15, r: 8, p: 3 },
  argon2id: { m: 19_456, t: 2, p: 1 },
} as const

const BYTES = 32
const SALT_BYTES = 16
const SCRYPT =
  /^\$scrypt\$ln=([0-9]{1,2}),r=([0-9]{1,2}),p=([0-9]{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/
const ARGON2 =
  /^\$argon2id\$v=19\$m=([0-9]{4,7}),t=([0-9]{1,2}),p=([0-9]{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/

/** `undefined` for what is no such text, weaker than anybody should keep, or so costly that it could stop the process. */
export function parseHash(text: unknown): PasswordHash | undefined {
  if (typeof text !== 'string') return undefined
  const scrypted = SCRYPT.exec(text)
  const [, first, second, third, salt = '', hash = ''] = scrypted ?? ARGON2.exec(text) ?? []
  if (first === undefined) return undefined
  const [one, two, three] = [Number(first), Number(second), Number(third)]
  const parts = { salt: Buffer.from(salt, 'base64'), hash: Buffer.from(hash, 'base64') }
  if (scrypted !== null) {
    const isSound = one >= 14 && one <= 18 && two >= 8 && two <= 16 && three >= 1 && three <= 16
    return isSound ? { ...parts, algorithm: 'scrypt', cost: { ln: one, r: two, p: three } } : undefined
  }
  const isSound = one >= 7_168 && one <= 262_144 && two >= 1 && two <= 16 && three >= 1 && three <= 16
  return isSound ? { ...parts, algorithm: 'argon2id', cost: { m: one, t: two, p: three } } : undefined
}

export function formatHash({ algorithm, cost, salt, hash }: PasswordHash): string {
  const head =
    algorithm === 'scrypt'
      ? `$scrypt$ln=${cost.ln},r=${cost.r},p=${cost.p}`
      : `$argon2id$v=19$m=${cost.m},t=${cost.t},p=${cost.p}`
  return `${head}$${unpadded(salt)}$${unpadded(hash)}`
}

/** A hash of a password with a new salt, that costs as much as told. */
export async function makeHash(
  password: string,
  kind: Pick<PasswordHash, 'algorithm' | 'cost'>,
): Promise<PasswordHash> {
  const made = { ...kind, salt: randomBytes(SALT_BYTES), hash: Buffer.alloc(BYTES) } as PasswordHash
  return { ...made, hash: await digest(password, made) }
}

/** No password is the one of this, and to find that out costs what it costs with anybody's. */
export function hashOfNobody(
  algorithm: PasswordAlgorithm,
  cost: PasswordHash['cost'] = COSTS[algorithm],
): PasswordHash {
  return { algorithm, cost, salt: randomBytes(SALT_BYTES), hash: randomBytes(BYTES) } as PasswordHash
}

/** Whether the password is the one of the hash. The work is that of the hash, whatever comes out. */
export async function isPassword(password: string, expected: PasswordHash): Promise<boolean> {
  const found = await digest(password, expected)
  return timingSafeEqual(found, expected.hash)
}

/** RFC 8265 section 4.2.2: two ways to write one letter are one password. */
function digest(password: string, { algorithm, cost, salt, hash }: PasswordHash): Promise<Buffer> {
  const bytes = Buffer.from(password.normalize('NFC'), 'utf8')
  if (algorithm === 'argon2id') return argon2()(bytes, salt, cost, hash.length)
  const { ln, r, p } = cost
  const N = 2 ** ln
  const options = { N, r, p, maxmem: 128 * N * r + 1_048_576 + 128 * r * p }
  return new Promise((resolve, reject) => {
    scrypt(bytes, salt, hash.length, options, (error, key) => {
      if (error === null) resolve(key)
      else reject(error)
    })
  })
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '')
}
