import type { SecurityContext } from './kernel/context.js'
import { refuse, type Problem } from './kernel/problem.js'
import { refuseReply } from './kernel/reply.js'
import type { Stage } from './kernel/stage.js'

/** Stands between the pipeline and the handler: a handler has a deadline, and an answer without a decision is noticed. */
export function watchHandler(timeoutMs: number | false): Stage {
  const late = refuse('handler-timeout', {
    rule: 'handler-timeout',
    reason: 'the handler did not begin to answer in time',
  })
  return {
    name: 'handler',
    enter(ctx) {
      ctx.handling = true
      // Entered a second time: by another instance, or after a rewrite. One deadline is enough.
      ctx.cancelDeadline?.()
      if (timeoutMs === false) return
      ctx.cancelDeadline = ctx.services.clock.after(timeoutMs, () => {
        if (ctx.res.headersSent || ctx.res.destroyed || ctx.res.writableEnded) return
        refuseReply(ctx, late)
      })
    },
    settle(ctx) {
      ctx.cancelDeadline?.()
      if (isUndecided(ctx) && ctx.problem === undefined && ctx.res.headersSent) {
        ctx.record('undecided', { severity: 'high' })
      }
    },
  }
}

/**
 * Errors may be told to anybody; everything else needs a decision, about the method that is answered. What is only
 * reported is one if an access rule refused, and none if a limit or a credential did.
 */
function isUndecided({ handling, decided, entries, req, res }: SecurityContext): boolean {
  if (!handling || res.statusCode >= 400) return false
  return !decided || entries.at(-1)?.method !== (req.method ?? 'GET')
}

/** Refuses an answer that nobody has decided about: 500 `undecided`. */
export function undecided(ctx: SecurityContext): Problem | undefined {
  if (!isUndecided(ctx)) return undefined
  return refuse('undecided', {
    rule: 'strict',
    reason: 'answered without public, rbac or another access decision',
  })
}
