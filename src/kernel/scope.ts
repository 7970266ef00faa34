import { show } from './check.js'
import { ConfigError } from './config-error.js'

/** RFC 6749 section 3.3: scope-token. What fits may stand in a challenge as it is. */
const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/** @throws ConfigError unless `value` is one scope */
export function scopeName(option: string, value: unknown): string {
  if (typeof value === 'string' && SCOPE_TOKEN.test(value)) return value
  const fix =
    typeof value === 'string' && value.includes(' ')
      ? `. For several write { all: [{ scope: ... }, { scope: ... }] }`
      : ''
  throw new ConfigError(
    `${option} must name one scope (RFC 6749 section 3.3: ASCII without spaces, quotes and backslashes), got ${show(value)}${fix}`,
  )
}
