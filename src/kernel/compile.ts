import { joined } from '../lib/joined.js'
import { isThenable } from '../lib/when.js'
import type { Enforcement } from './mode.js'
import { inContext, settlingInContext, shapingInContext } from './async-context.js'
import { openContext, type SecurityContext } from './context.js'
import { isGone, isOver } from './is-gone.js'
import { isProblem, refuse, type Problem } from './problem.js'
import { refuseExchange, reportRefusal } from './refusal.js'
import { addShapers } from './reply.js'
import { defaultServices, type Services } from './services.js'
import { settleLater } from './settle.js'
import { answerInTime } from './stage-deadline.js'
import { traceStage } from './trace.js'
import { answered, type Middleware, type Next, type Stage, type Verdict } from './stage.js'

export interface CompileOptions {
  /**
   * The outside world of this pipeline; whoever comes after it sees what was given to others before. Default: what is in
   * force, or this process's own.
   */
  services?: Services
  /** Report or enforce, by stage. Default: enforce. */
  enforcement?: (stage: Stage) => Enforcement
  /** Record what every stage decides, with microseconds, on `req.security.trace`. Default false. */
  trace?: boolean
  /** Let `getSecurity()` find the context of the request that is being served. Default false. */
  asyncContext?: boolean
}

/** Ordered stages, sorted by the moments they care about, ready to meet requests. */
export interface Pipeline {
  readonly entering: readonly Stage[]
  readonly shaping: readonly Stage[]
  readonly settling: readonly Stage[]
  readonly concealing: readonly Stage[]
  readonly reporting: ReadonlySet<Stage>
  /** Whether some stage has a say when a head is written. */
  readonly completes: boolean
  readonly trace: boolean
  readonly asyncContext: boolean
}

/** Sorts stages once, so that a request only meets those that have something to do. */
export function prepare(
  stages: readonly Stage[],
  { enforcement, trace = false, asyncContext = false }: CompileOptions = {},
): Pipeline {
  const reporting = new Set(stages.filter((stage) => enforcement?.(stage) === 'report'))
  const shaping = stages.filter((stage) => 'shape' in stage && !reporting.has(stage))
  const settling = stages.filter((stage) => 'settle' in stage)
  return {
    entering: stages.filter((stage) => 'enter' in stage),
    shaping: asyncContext ? shaping.map(shapingInContext) : shaping,
    settling: asyncContext ? settling.map(settlingInContext) : settling,
    concealing: stages.filter((stage) => 'conceal' in stage),
    reporting,
    completes: stages.some((stage) => stage.completes === true),
    trace,
    asyncContext,
  }
}

/** Ordered stages as one middleware. */
export function compile(stages: readonly Stage[], options: CompileOptions = {}): Middleware {
  const pipeline = prepare(stages, options)
  const { services } = options
  if (services === undefined)
    return (req, res, next) => run(pipeline, openContext(req, res, defaultServices()), next)

  return (req, res, next) => {
    const ctx = openContext(req, res, services)
    const before = ctx.services
    ctx.use(services)
    // What nobody was given need not be put back: handlers ask for the client as well.
    if (before === services || before === defaultServices()) return run(pipeline, ctx, next)
    run(pipeline, ctx, (error) => {
      ctx.use(before)
      next(error)
    })
  }
}

/** Sends one exchange through a pipeline. `next` is called at most once, and only if no stage refuses. */
export function run(pipeline: Pipeline, ctx: SecurityContext, next: Next): void {
  // The caller left while something in front of this was waiting.
  if (isGone(ctx)) return
  if (pipeline.trace) ctx.trace ??= []
  if (pipeline.shaping.length > 0) addShapers(ctx, pipeline.shaping)
  if (pipeline.concealing.length > 0) ctx.concealing = joined(ctx.concealing, pipeline.concealing)
  if (pipeline.settling.length > 0) settleLater(ctx, pipeline.settling)
  if (!pipeline.asyncContext) return walk(pipeline, 0, ctx, next)
  inContext(ctx, () => walk(pipeline, 0, ctx, (error) => inContext(ctx, () => next(error))))
}

/** A loop, not an onion: no closures, and no promise until a stage truly waits. */
function walk(pipeline: Pipeline, from: number, ctx: SecurityContext, next: Next): void {
  const { entering } = pipeline
  for (let i = from; i < entering.length; i++) {
    const stage = entering[i]!
    const started = ctx.trace === undefined ? 0 : ctx.services.clock.monotonic()
    ctx.rule = ctx.why = undefined

    let verdict: Verdict | Promise<Verdict>
    let later: PromiseLike<Verdict> | undefined
    try {
      verdict = stage.enter!(ctx)
      if (verdict !== undefined && isThenable(verdict)) later = verdict
    } catch (cause) {
      return conclude(pipeline, stage, i, broken(cause), started, ctx, next)
    }
    if (verdict === undefined && ctx.trace === undefined) continue
    if (later !== undefined) {
      answerInTime(ctx, stage, later).then(
        (late) => resume(pipeline, stage, i, late, started, ctx, next),
        (cause: unknown) => resume(pipeline, stage, i, broken(cause), started, ctx, next),
      )
      return
    }
    if (verdict !== undefined) return conclude(pipeline, stage, i, verdict, started, ctx, next)
    traceStage(ctx, stage.name, 'passed', started)
  }
  const committed = ctx.reply?.commitHead()
  // What is set from here on is the handler's, and is dropped if its reply has to be refused.
  if (pipeline.shaping.length > 0 || ctx.handling) ctx.headersBefore ??= committed ?? ctx.res.getHeaderNames()
  next()
}

function resume(
  pipeline: Pipeline,
  stage: Stage,
  at: number,
  verdict: Verdict,
  started: number,
  ctx: SecurityContext,
  next: Next,
): void {
  if (isOver(ctx)) return
  try {
    conclude(pipeline, stage, at, verdict, started, ctx, next)
  } catch (error) {
    // Express's `next` never throws; a plain handler's may, and no promise must swallow that. To `next`, nothing is no error.
    next(error || new Error(`a handler threw ${String(error)}`))
  }
}

function conclude(
  pipeline: Pipeline,
  stage: Stage,
  at: number,
  verdict: unknown,
  started: number,
  ctx: SecurityContext,
  next: Next,
): void {
  if (verdict === undefined) {
    traceStage(ctx, stage.name, 'passed', started)
    return walk(pipeline, at + 1, ctx, next)
  }
  if (verdict === answered) return traceStage(ctx, stage.name, 'answered', started)

  const problem = isProblem(verdict) ? verdict : broken(new TypeError(`${stage.name} returned no verdict`))
  if (pipeline.reporting.has(stage) && problem.code !== 'broken' && problem.always !== true) {
    if (stage.decides === true) ctx.decided = true
    traceStage(ctx, stage.name, 'reported', started, problem)
    reportRefusal(ctx, stage.name, problem)
    return walk(pipeline, at + 1, ctx, next)
  }
  traceStage(ctx, stage.name, problem.code === 'broken' ? 'failed' : 'refused', started, problem)
  refuseExchange(ctx, stage.name, problem, next)
}

function broken(cause: unknown): Problem {
  return refuse('broken', { cause })
}
