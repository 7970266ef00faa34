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
    `${option} must be one of ${allowed.map((one) => `'${one}'`).join(', ')}, got ${show(value)}${didYouMean(value, allowed)}`,
  )
}

/** @throws ConfigError if `options` is no plain object or has a key that is not in `known`; a near miss is named. */
export function knownKeys(option: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ConfigError(
      `${option} must be an object of options, got ${typeof options === 'string' ? 'a string' : show(options)}`,
    )
  }
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) {
      throw new ConfigError(`${option} has no option "${key}"${didYouMean(key, known)}`, 'unknown-option')
    }
  }
}

/** `. Did you mean "limit"?`, or nothing if no candidate is near. */
export function didYouMean(value: unknown, candidates: readonly string[]): string {
  const near = typeof value === 'string' ? closest(value, candidates) : undefined
  return near === undefined ? '' : `. Did you mean "${near}"?`
}

/** A value as a message may show it: short, and only its kind if it could hide a secret. */
export function show(value: unknown): string {
  if (typeof value === 'string')
    return value.length > 40 ? `a string of ${value.length} characters` : JSON.stringify(value)
  if (typeof value === 'number' || typeof value === 'boolean' || value === undefined || value === null)
    return String(value)
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'function' ? 'a function' : 'an object'
}
