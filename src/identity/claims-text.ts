import { membersOf } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'
import { attempt } from '../lib/attempt.js'

/**
 * Claims that an application gives, as JSON, which is all that is kept of them.
 *
 * @throws ConfigError for what JSON cannot say: a bigint, a circle, a getter that throws
 */
export function claimsText(option: string, claims: unknown): string {
  const own = Object.fromEntries(membersOf(option, claims, 'of claims'))
  const json: unknown = attempt(() => JSON.stringify(own), undefined)
  // A `toJSON` of their own may make anything of them.
  if (typeof json === 'string' && json.startsWith('{')) return json
  throw new ConfigError(`${option} must be plain data: JSON cannot say all of it`)
}
