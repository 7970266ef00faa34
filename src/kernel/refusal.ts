import { isThenable } from '../lib/when.js'
import type { SecurityContext } from './context.js'
import type { Problem } from './problem.js'
import { respond } from './respond.js'
import type { Next } from './stage.js'

/** Ends an exchange with a refusal: on record first, then to the client. */
export function refuseExchange(ctx: SecurityContext, stage: string, problem: Problem, next: Next): void {
  recordRefusal(ctx, stage, problem)
  try {
    if (ctx.services.respond !== respond) {
      ctx.reply?.commitHead()
      expectAnswer(ctx, problem)
    }
    const answering: unknown = ctx.services.respond(ctx, problem, next)
    if (isThenable(answering))
      answering.then(undefined, (cause: unknown) => respondAnyway(ctx, problem, cause))
  } catch (cause) {
    respondAnyway(ctx, problem, cause)
  }
}

/** How long whoever answers refusals in a way of their own may take to begin, in milliseconds. */
const ANSWER_MS = 30_000

function expectAnswer(ctx: SecurityContext, problem: Problem): void {
  ctx.cancelDeadline?.()
  ctx.cancelDeadline = ctx.services.clock.after(ANSWER_MS, () => {
    const { res } = ctx
    if (res.headersSent || res.writableEnded || res.destroyed) return
    respondAnyway(ctx, problem, new Error(`no answer within ${ANSWER_MS} ms`))
  })
}

/** Whoever wants to answer refusals in a way of their own and fails must not let one go unanswered. */
function respondAnyway(ctx: SecurityContext, problem: Problem, cause: unknown): void {
  ctx.services.log.error('respond: failed', { id: ctx.id, cause })
  respond(ctx, problem)
}

/** Puts a refusal on record that is not carried out. */
export function reportRefusal(ctx: SecurityContext, stage: string, problem: Problem): void {
  ;(ctx.reported ??= []).push({ stage, problem })
  logCause(ctx, stage, problem)
  ctx.recorder?.record(ctx, 'decision', decisionFacts(stage, problem, 'reported'))
}

/** Puts a refusal on record that ends the exchange. */
export function recordRefusal(ctx: SecurityContext, stage: string, problem: Problem): void {
  ctx.problem = problem
  ctx.refusedBy = stage
  logCause(ctx, stage, problem)
  ctx.recorder?.record(ctx, 'decision', decisionFacts(stage, problem), true)
}

function logCause(ctx: SecurityContext, stage: string, { code, cause }: Problem): void {
  if (cause !== undefined) ctx.services.log.error(`${stage}: ${code}`, { id: ctx.id, cause })
}

/** A refusal as facts for the record. */
export function decisionFacts(
  stage: string | undefined,
  { code, status, rule, reason }: Problem,
  outcome = code === 'broken' ? 'failed' : 'refused',
): Readonly<Record<string, unknown>> {
  return { outcome, stage, code, status, rule, reason }
}

/** A refusal takes nothing along that the handler had prepared: no cookie, no location. */
export function dropHandlerHeaders({ res, headersBefore }: SecurityContext): void {
  if (headersBefore === undefined || res.headersSent) return
  const kept = headersBefore.map((name) => name.toLowerCase())
  for (const name of res.getHeaderNames()) if (!kept.includes(name)) res.removeHeader(name)
}
