import type { Finding } from '../kernel/stage.js'
import type { CheckedApi } from './checked-api.js'

const CAUSES = {
  seen: 'requests come with X-Forwarded-For or Forwarded, and trustProxy is not set: all clients of a proxy are counted as one',
  told: "Express is told of a proxy ('trust proxy'), and trustProxy is not set: all clients of that proxy are counted as one",
}

/** Behind a proxy that nobody declared, everybody has the same address, and shares one limit. */
export function proxyFindings(app: unknown, { settings, proxySeen }: CheckedApi): Finding[] {
  if (settings.trustProxy !== undefined) return []
  const cause = proxySeen ? CAUSES.seen : trustsProxy(app) ? CAUSES.told : undefined
  if (cause === undefined) return []
  return [
    {
      code: 'proxy-undeclared',
      severity: 'medium',
      cause,
      fix: 'write trustProxy: 1, or the ranges of your proxies; trustProxy: 0 if clients connect directly',
    },
  ]
}

/** Express's own setting, which is off unless somebody sets it, and which is not read here. */
function trustsProxy(app: unknown): boolean {
  const express = app as { settings?: Record<string, unknown> } | null | undefined
  return Boolean(express?.settings?.['trust proxy'])
}
