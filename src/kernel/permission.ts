import { show } from './check.js'
import { ConfigError } from './config-error.js'

/** Neither white space nor control characters: names are compared byte by byte and appear in logs. */
const NAME = /^[^\s\p{C}]+$/u

/**
 * A permission that a rule asks for or a catalogue lists: segments separated by `:`, without wildcards.
 *
 * @throws ConfigError if it is none
 */
export function permissionName(option: string, value: unknown): string {
  const name = permissionGrant(option, value)
  if (name.includes('*')) {
    throw new ConfigError(
      `${option} must name one permission, got ${show(name)}; wildcards belong in what a role grants. ` +
        `For any caller who is known, write 'authenticated'`,
      'wildcard-permission',
    )
  }
  return name
}

/**
 * What a role grants: a permission, or a pattern whose `*` stands for exactly one segment. A lone `*` grants everything.
 *
 * @throws ConfigError if it is neither
 */
export function permissionGrant(option: string, value: unknown): string {
  if (typeof value !== 'string' || !NAME.test(value)) {
    throw new ConfigError(
      `${option} must be a permission such as 'orders:read', without white space, got ${show(value)}`,
    )
  }
  for (const segment of value.split(':')) {
    if (segment === '')
      throw new ConfigError(`${option} has an empty segment: ${show(value)}. Write it like 'orders:read'`)
    if (segment !== '*' && segment.includes('*')) {
      throw new ConfigError(
        `${option} uses "*" inside a segment: ${show(value)}. A "*" stands for one whole segment, as in 'orders:*'`,
      )
    }
  }
  return value
}

/** Whether a grant includes a permission, or every permission that another grant includes. */
export function covers(grant: string, permission: string): boolean {
  if (grant === '*' || grant === permission) return true
  if (!grant.includes('*')) return false
  const granted = grant.split(':')
  const asked = permission.split(':')
  return granted.length === asked.length && granted.every((part, i) => part === '*' || part === asked[i])
}
