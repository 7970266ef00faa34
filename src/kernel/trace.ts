import type { SecurityContext, TraceEntry } from './context.js'
import type { Problem } from './problem.js'

/** Adds what a stage decided to the trace, if there is one. `started` is a reading of the monotonic clock. */
export function traceStage(
  ctx: SecurityContext,
  stage: string,
  verdict: TraceEntry['verdict'],
  started: number,
  problem?: Problem,
): void {
  if (ctx.trace === undefined) return
  const rule = problem?.rule ?? ctx.rule
  const why = problem?.reason ?? ctx.why
  ctx.trace.push({
    stage,
    verdict,
    ...(problem && { code: problem.code }),
    ...(rule !== undefined && { rule }),
    ...(why !== undefined && { why }),
    micros: Math.round((ctx.services.clock.monotonic() - started) * 1000),
  })
}
