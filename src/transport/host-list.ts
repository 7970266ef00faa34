import { show } from '../kernel/check.js'
import { ConfigError } from '../kernel/config-error.js'

/** Names or IPv4 addresses, or an IPv6 address in brackets; a port may follow. */
const HOST = /^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/

/** @throws ConfigError unless `hosts` lists values that a `Host` field can have */
export function hostList(option: string, hosts: unknown): ReadonlySet<string> {
  if (!Array.isArray(hosts) || hosts.length === 0)
    throw new ConfigError(
      `${option} must list at least one host, or be left out to answer for any, got ${show(hosts)}`,
    )
  return new Set(
    (hosts as unknown[]).map((host) => {
      const lower = typeof host === 'string' ? host.toLowerCase() : ''
      if (HOST.test(lower)) return lower
      throw new ConfigError(
        `${option} must list hosts as the Host field carries them, such as 'api.example.com' or 'localhost:3000' ` +
          `(no scheme, no path, no wildcard), got ${show(host)}`,
      )
    }),
  )
}
