import { show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'

/** @throws ConfigError for a realm that cannot be quoted */
export function realmText(option: string, realm: unknown): string {
  if (typeof realm === 'string' && /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/.test(realm)) return realm
  throw new ConfigError(`${option} must be ASCII text without quotes and backslashes, got ${show(realm)}`)
}
