import { defineStage } from '../kernel/define.js'
import { counting } from './counting.js'
import type { Limit } from './limit.js'

/**
 * Refuses a client that asks too often: 429 `rate-limited`, with `Retry-After` in seconds. Counts by address, before
 * anybody is asked who they are, so that guessing credentials is limited too. Every reply that comes after it carries
 * `RateLimit` and `RateLimit-Policy`.
 *
 * @example
 * app.use(rateLimit({ limit: 100, windowMs: 60_000 }))
 */
export const rateLimit = defineStage('rateLimit', (limits: Limit | readonly Limit[] = {}) =>
  counting(limits, { stage: 'rateLimit', name: 'default', key: (ctx) => ctx.clientKey }, 'rate-limited'),
)
