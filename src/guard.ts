import type { Enter } from './entrance.js'
import { prepare, run, type CompileOptions, type Pipeline } from './kernel/compile.js'
import type { Slot } from './kernel/context.js'
import type { Middleware, Stage } from './kernel/stage.js'
import type { Plan } from './plans.js'

/**
 * What a guard adds, as middleware behind the entrance. Mounted twice in the way of one request, it decides twice, because
 * the router may have found other parameters in between; but it counts once, and shapes the reply once.
 */
export function guardOf(
  stages: readonly Stage[],
  enter: Enter,
  seen: Pick<CompileOptions, 'trace' | 'asyncContext'>,
): Middleware {
  const repeated = stages.filter((stage) => stage.policies === undefined && stage.shape === undefined)
  /** As plans come and go, so do these. */
  const pipelines = new WeakMap<Plan['enforcement'], { first: Pipeline; again: Pipeline }>()
  /** Of this guard alone. */
  const passed: Slot<boolean> = { symbol: Symbol('guard.passed') }

  return (req, res, next) =>
    enter(req, res, (error, { enforcement }, ctx) => {
      if (error !== undefined) return next(error)
      let pipeline = pipelines.get(enforcement)
      if (pipeline === undefined) {
        const options = { ...seen, enforcement }
        pipelines.set(
          enforcement,
          (pipeline = { first: prepare(stages, options), again: prepare(repeated, options) }),
        )
      }
      run(ctx.get(passed) === true ? pipeline.again : pipeline.first, ctx, (failure) => {
        if (failure === undefined) ctx.set(passed, true)
        next(failure)
      })
    })
}
