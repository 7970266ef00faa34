import { createHmac, createSecretKey, KeyObject } from 'node:crypto'
import { didYouMean, show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'

/**
 * What is shown in place of a value:
 * - `'redact'`: `[redacted]`, whatever was there, `null` included
 * - `'last4'`: `****1234`; nothing of values under 8 characters
 * - `'email'`: `a***@example.com`; nothing of what is no address
 * - `'hash'`: HMAC-SHA-256 under the mask's `key`, base64url: equal values stay comparable
 * - your own function, for strings, numbers, booleans and objects; it must answer at once. If it throws, the reply is
 *   refused.
 *
 * A style that knows nothing better for a value, such as `last4` for an object, shows `[redacted]`.
 */
export type Style = 'redact' | 'last4' | 'email' | 'hash' | ((value: unknown) => unknown)

/** Stands where nothing is shown. Styles leave it as it is. */
export const REDACTED = '[redacted]'

/** A secret for `hash`, at least 32 bytes long. */
export type HashKey = string | Uint8Array | KeyObject

const NAMES = ['redact', 'last4', 'email', 'hash'] as const

/** @throws ConfigError unless `style` is one, and has the key it needs */
export function compileStyle(
  option: string,
  style: Style,
  key: KeyObject | undefined,
): (value: unknown) => unknown {
  if (typeof style === 'function') return style
  switch (style) {
    case 'redact':
      return () => REDACTED
    case 'last4':
      return last4
    case 'email':
      return email
    case 'hash':
      if (key !== undefined) return hasher(key)
      throw new ConfigError(
        `${option} is 'hash', which needs a key: mask({ fields: ..., key: process.env.MASK_KEY }), at least 32 bytes`,
        'missing-key',
      )
    default:
      throw new ConfigError(
        `${option} must be ${NAMES.map((name) => `'${name}'`).join(', ')}, a function, or { as, unless }, ` +
          `got ${show(style, NAMES)}${didYouMean(style, NAMES)}`,
      )
  }
}

/**
 * RFC 2104 section 3: a key shorter than the hash's output weakens it.
 *
 * @throws ConfigError if it is
 */
export function hashKey(option: string, key: HashKey): KeyObject {
  const object =
    typeof key === 'string'
      ? createSecretKey(Buffer.from(key))
      : key instanceof Uint8Array
        ? createSecretKey(key)
        : key
  const bytes = object instanceof KeyObject && object.type === 'secret' ? object.symmetricKeySize : undefined
  if (bytes !== undefined && bytes >= 32) return object
  throw new ConfigError(
    `${option} must be a secret of at least 32 bytes (a string, Buffer or KeyObject), got ${
      bytes === undefined ? 'something else' : `${bytes} bytes`
    }. Make one: openssl rand -base64 32`,
    'weak-key',
  )
}

function last4(value: unknown): string {
  const text = textOf(value)
  if (text === undefined || text === REDACTED) return REDACTED
  const { length } = text
  if (length < 8) return '****'
  // Of sixteen units, however few characters they are, four may be shown.
  const start = length - (length < 16 ? 8 : 4)
  let units = 0
  for (let i = start; i < length; i++) units |= text.charCodeAt(i)
  return units < SURROGATES ? `****${text.slice(length - 4)}` : last4Characters(text)
}

/** From here on a unit may be half of a character outside the basic plane. */
const SURROGATES = 0xd800

/** For text that has such characters near its end. Sixteen units hold at least eight characters, so that long values are not taken apart whole. */
function last4Characters(text: string): string {
  const characters = Array.from(text.slice(-16))
  return characters.length < 8 ? '****' : `****${characters.slice(-4).join('')}`
}

const DOT = 0x2e
const NOT = 0
const PRINTED = 1
const HOST = 2
/** By character code: what stands in the labels of a domain, what besides stands before the `@`, and what does not stand in an address. */
const ADDRESS = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code)
  if (/[a-z\d-]/i.test(character)) return HOST
  return /[!-~]/.test(character) ? PRINTED : NOT
})

const DOMAIN = /^[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63})+$/u

function email(value: unknown): string {
  if (typeof value !== 'string' || value.length > 320) return REDACTED
  const at = value.indexOf('@')
  if (at < 1) return REDACTED
  if (isPlainAddress(value, at)) return `${value[0]!}***${value.slice(at)}`
  const local = value.slice(0, at)
  const domain = value.slice(at + 1)
  if (/[\s\p{C}]/u.test(local) || !DOMAIN.test(domain)) return REDACTED
  return `${String.fromCodePoint(local.codePointAt(0)!)}***@${domain}`
}

/** Whether it is sound and all ASCII: most are, and need no expression. Any other answer comes from the expressions. */
function isPlainAddress(address: string, at: number): boolean {
  const { length } = address
  for (let i = 0; i < at; i++) if (!(ADDRESS[address.charCodeAt(i)]! > NOT)) return false
  let dot = at
  let i = at + 1
  for (; i < length; i++) {
    const code = address.charCodeAt(i)
    if (code === DOT) {
      if (i === dot + 1 || i - dot > 64) return false
      dot = i
    } else if (ADDRESS[code] !== HOST) return false
  }
  return dot > at && i > dot + 1 && i - dot <= 64
}

function hasher(key: KeyObject): (value: unknown) => string {
  return (value) => {
    const text = textOf(value)
    if (text === undefined || text === REDACTED) return REDACTED
    return createHmac('sha256', key).update(text).digest('base64url')
  }
}

/** Card and account numbers may be numbers. A boolean's hash would be as good as the boolean. */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'bigint' ? String(value) : undefined
}
