import { defineStage } from '../kernel/define.js'
import { counting } from './counting.js'
import type { Limit } from './limit.js'

/**
 * Refuses a caller that has used up what it may have: 429 `quota-exceeded`, with `Retry-After` in seconds. Counts by
 * principal, wherever its requests come from; a request without one is counted by address.
 *
 * @example
 * secureApi({ auth, quota: { name: 'daily', limit: 10_000, windowMs: 86_400_000 } })
 */
export const quota = defineStage('quota', (limits: Limit | readonly Limit[] = {}) =>
  counting(
    limits,
    {
      stage: 'quota',
      name: 'quota',
      // Nobody's id can be made to look like an address.
      key: (ctx) => (ctx.principal === undefined ? `ip:${ctx.clientKey}` : `id:${ctx.principal.id}`),
    },
    'quota-exceeded',
  ),
)
