import type { SecurityContext } from '../kernel/context.js'
import type { CheckedLimit } from './limit.js'

/** Puts on record, once a window, that new clients of a limit share counters because the table is full. */
export class OverflowRecord {
  private until = -Infinity

  constructor(private readonly limit: CheckedLimit) {}

  happened(ctx: SecurityContext): void {
    const now = ctx.services.clock.monotonic()
    if (now < this.until) return
    const { name, policy } = this.limit
    const { scope, windowMs } = policy
    this.until = now + windowMs
    ctx.record('limiter-overflow', { stage: scope, policy: name, windowMs })
    ctx.services.log.warn(`${scope} "${name}": more clients than maxClients, new ones share counters`)
  }
}
