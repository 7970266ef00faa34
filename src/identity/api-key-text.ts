import { randomInt } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'

/** The parts of a key. Whoever holds `body` holds the key: the checksum follows from it. */
export interface KeyText {
  readonly id: string
  /** `prefix_id_secret`, which is what is hashed, so that a hash is of no use under another id. */
  readonly body: string
}

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const ID_LENGTH = 16
/** 62^43 is more than 2^256. */
const SECRET_LENGTH = 43
const CHECKSUM_LENGTH = 6
const REST = /^_([0-9A-Za-z]{16})_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$/
const REST_LENGTH = ID_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH + 3

/** @throws ConfigError for what could be mistaken for another part of a key, or for no key at all */
export function keyPrefix(option: string, prefix: unknown): string {
  if (typeof prefix === 'string' && /^[a-z](?:_?[a-z0-9]){1,30}$/.test(prefix)) return prefix
  throw new ConfigError(
    `${option} must be 2 to 31 lower-case letters and digits, which may have single underscores between them, such as 'acme_live', got ${show(prefix)}`,
  )
}

export function newId(): string {
  return randomText(ID_LENGTH)
}

/** A new secret for an id, as the whole key that its owner gets (ASVS 7.2.3). */
export function newKey(prefix: string, id: string): { readonly key: string; readonly body: string } {
  const body = `${prefix}_${id}_${randomText(SECRET_LENGTH)}`
  return { key: `${body}_${checksum(body)}`, body }
}

/**
 * Reads `prefix_id_secret_checksum`. A slip of the hand, a line break in the middle and a made-up key are found out by
 * the checksum, which anybody can compute: it keeps them from the store, and proves nothing.
 */
export function parseKey(prefix: string, text: string): KeyText | undefined {
  if (text.length !== keyLength(prefix) || !text.startsWith(prefix)) return undefined
  const id = REST.exec(text.slice(prefix.length))?.[1]
  if (id === undefined) return undefined
  const body = bodyOf(text)
  return text.endsWith(checksum(body)) ? { id, body } : undefined
}

/** How long every key with this prefix is. */
export function keyLength(prefix: string): number {
  return prefix.length + REST_LENGTH
}

/** A key without its checksum. */
export function bodyOf(key: string): string {
  return key.slice(0, -CHECKSUM_LENGTH - 1)
}

/** CRC-32 in base 62, as in the tokens of GitHub. */
function checksum(body: string): string {
  let text = ''
  let rest = crc32(body)
  for (let i = 0; i < CHECKSUM_LENGTH; i++) {
    text = ALPHABET[rest % 62]! + text
    rest = Math.floor(rest / 62)
  }
  return text
}

function randomText(length: number): string {
  return Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
}
