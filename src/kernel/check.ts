import { closest } from '../lib/closest.js'
import { ConfigError } from './config-error.js'

/** @throws ConfigError unless `value` is an integer of at least `min` (default 1) and at most `max`. */
export function integer(
  option: string,
  value: unknown,
  { min = 1, max = Number.MAX_SAFE_INTEGER } = {},
): number {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max)
    return value as number
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
  throw new ConfigError(`${option} must be an integer ${range}, got ${show(value)}`)
}

/** @throws ConfigError unless `value` is one of `allowed`. */
export function oneOf<T extends string>(option: string, value: unknown, allowed: readonly T[]): T {
  if (allowed.includes(value as T)) return value as T
  throw new ConfigError(
    `${option} must be one of ${allowed.map((one) => `'${one}'`).join(', ')}, got ${show(value, allowed)}${didYouMean(value, allowed)}`,
  )
}

/** @throws ConfigError unless `value` is `true` or `false`. */
export function boolean(option: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw new ConfigError(`${option} must be true or false, got ${show(value)}`)
}

/** @throws ConfigError unless `value` is a function. */
export function func<F>(option: string, value: F): F {
  if (typeof value === 'function') return value
  throw new ConfigError(`${option} must be a function, got ${show(value)}`)
}

/**
 * @param protecting keys that are never `undefined`: whoever names a protection and misses its value by a slip must not
 * end up without it. Elsewhere `undefined` means the default.
 * @throws ConfigError if `options` is no plain object or has a key that is not in `known`; a near miss is named
 */
export function knownKeys(
  option: string,
  options: unknown,
  known: readonly string[],
  protecting: readonly string[] = [],
): void {
  for (const [key, value] of membersOf(option, options)) {
    if (!known.includes(key))
      throw new ConfigError(
        `${option} has no option ${quoted(key)}${didYouMean(key, known)}`,
        'unknown-option',
      )
    if (value === undefined && protecting.includes(key))
      throw new ConfigError(
        `${option}.${key} is undefined; give it a value, or leave the key out`,
        'undefined-option',
      )
  }
}

/**
 * What a plain object has of its own. Whatever has a class is refused: a Map has no members to be read, and what an
 * instance inherits would be taken for an option.
 *
 * @throws ConfigError for everything else
 */
export function membersOf(option: string, value: unknown, what = 'of options'): [string, unknown][] {
  if (!isPlain(value)) throw new ConfigError(`${option} must be an object ${what}, got ${show(value)}`)
  return Object.keys(value).map((key) => {
    try {
      return [key, value[key]]
    } catch {
      throw new ConfigError(`${option}.${key} cannot be read: its getter throws`)
    }
  })
}

/** Of whichever realm: its prototype is an `Object.prototype`, or there is none. */
function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** `. Did you mean "limit"?`, or nothing if no candidate is near. */
export function didYouMean(value: unknown, candidates: readonly string[]): string {
  const near = typeof value === 'string' ? closest(value, candidates) : undefined
  return near === undefined ? '' : `. Did you mean "${near}"?`
}

/**
 * A value as a message may show it. Of a text only its kind, because it may be a secret in the wrong place; unless it is
 * a slip of the finger away from one of `words`.
 */
export function show(value: unknown, words: readonly string[] = []): string {
  if (typeof value === 'string') {
    if (closest(value, words) !== undefined) return JSON.stringify(value)
    return value === '' ? 'an empty string' : `a string of ${value.length} characters`
  }
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array'
  if (typeof value === 'object' && value !== null)
    return isPlain(value) ? 'an object' : 'an instance of a class'
  return typeof value === 'function' || typeof value === 'symbol' ? `a ${typeof value}` : String(value)
}

/** `the role "clrek"`, or `a role (a string of 5 characters)`: as `show`, with what it is meant to be. */
export function word(kind: string, value: unknown, words: readonly string[]): string {
  const shown = show(value, words)
  return shown.startsWith('"') ? `the ${kind} ${shown}` : `a ${kind} (${shown})`
}

/** A name as a message may show it: the key of a setting, or a word that a setting itself declares. */
export function quoted(text: string): string {
  return text.length > 60 ? `of ${text.length} characters` : JSON.stringify(text)
}
