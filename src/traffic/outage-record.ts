import type { SecurityContext } from '../kernel/context.js'
import type { StoreUnavailable } from '../kernel/store-unavailable.js'
import { attempt } from '../lib/attempt.js'
import type { CheckedLimit } from './limit.js'

/** How long a store must have answered before the outage counts as over. */
const QUIET_MS = 1_000

/** Puts on record that a stage decides without its store: once when that begins, and once, with a count, when it is over. */
export class OutageRecord {
  private outage = 0
  private decisions = 0
  private lastFailure = 0

  constructor(private readonly limits: readonly CheckedLimit[]) {}

  failed(ctx: SecurityContext, { outage, cause, message }: StoreUnavailable): void {
    this.decisions++
    this.lastFailure = ctx.services.clock.monotonic()
    if (outage === this.outage) return
    this.outage = outage
    ctx.record('limiter-degraded', {
      stage: this.limits[0]!.policy.scope,
      policies: this.limits.map(({ name, whenStoreFails }) => ({ name, whenStoreFails })),
      reason: attempt(() => (cause instanceof Error ? `${message}: ${cause.name}` : message), message),
    })
  }

  worked(ctx: SecurityContext): void {
    if (this.decisions === 0 || ctx.services.clock.monotonic() - this.lastFailure < QUIET_MS) return
    ctx.record('limiter-restored', { stage: this.limits[0]!.policy.scope, decisions: this.decisions })
    this.decisions = 0
  }
}
