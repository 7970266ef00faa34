import { isThenable } from '../lib/when.js'
import type { SecurityContext } from './context.js'
import { answerInTime } from './stage-deadline.js'
import type { Stage } from './stage.js'
import { traceStage } from './trace.js'

/** Sends a JSON body through `shapers`. Replies climb: the stage nearest to the handler, which is the last, sees it first. */
export function shape(
  ctx: SecurityContext,
  shapers: readonly Stage[],
  body: unknown,
  from = shapers.length - 1,
): unknown {
  let shaped = body
  for (let i = from; i >= 0; i--) {
    const stage = shapers[i]!
    const started = ctx.trace === undefined ? 0 : ctx.services.clock.monotonic()
    ctx.rule = ctx.why = undefined
    shaped = stage.shape!(ctx, shaped)
    if (isThenable(shaped)) {
      return answerInTime(ctx, stage, shaped).then((value) => {
        traceStage(ctx, stage.name, 'shaped', started)
        return shape(ctx, shapers, value, i - 1)
      })
    }
    traceStage(ctx, stage.name, 'shaped', started)
  }
  return shaped
}
