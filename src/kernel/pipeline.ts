import { boolean, knownKeys, show } from './check.js'
import { compile } from './compile.js'
import { ConfigError } from './config-error.js'
import { closeAll, readyAll } from './lifecycle.js'
import { enforcementOf, modeOf, type Mode } from './mode.js'
import { assertNeedsMet } from './needs.js'
import { createServices, SERVICE_OPTIONS, type ServiceOptions } from './services.js'
import type { Middleware, Stage, StageMiddleware } from './stage.js'

/** What the stages of a pipeline share. */
export interface PipelineOptions extends ServiceOptions {
  /** Enforce, or only report; by stage name if an object. Default `'enforce'`. */
  mode?: Mode
  /** Keep what every stage decided on `req.security.trace`. Default `false`. */
  trace?: boolean
  /** Let `getSecurity()` find the context of the request that is being served. Default `false`: it costs every request something. */
  asyncContext?: boolean
}

/** The property by which `check()` knows what is in a pipeline, also one of another copy of the package. */
export const STAGES = 'secure-api.stages'

/** Your own order, as one middleware. */
export interface PipelineMiddleware extends Middleware {
  /** Resolves when keys are fetched and files are open. */
  ready(): Promise<void>
  /** Flushes and releases everything. */
  close(): Promise<void>
}

/**
 * Stages in your own order, as one middleware. They share one context, and cost one layer.
 *
 * @throws ConfigError if a stage needs what no earlier stage establishes
 * @example
 * app.use(pipeline([headers(), rateLimit({ limit: 50 }), auth([bearer({ issuer, audience })]), rbac('orders:read')]))
 */
export function pipeline(
  middleware: readonly StageMiddleware[],
  options: PipelineOptions = {},
): PipelineMiddleware {
  knownKeys('pipeline', options, ['mode', 'trace', 'asyncContext', ...SERVICE_OPTIONS])
  const { mode, trace = false, asyncContext = false, ...services } = options
  boolean('pipeline.trace', trace)
  boolean('pipeline.asyncContext', asyncContext)
  if (!Array.isArray(middleware))
    throw new ConfigError(`pipeline needs a list of stages, got ${show(middleware)}`)
  const stages = middleware.map((each: Partial<StageMiddleware> | null, i) => stageOf(each, i))
  assertNeedsMet(stages)
  const shared = createServices(services)
  const named = modeOf(
    'pipeline.mode',
    mode,
    stages.map(({ name }) => name),
  )
  const run = compile(stages, { services: shared, trace, asyncContext, enforcement: enforcementOf(named) })

  const together: Middleware = (req, res, next) => run(req, res, next)
  return Object.assign(together, {
    [STAGES]: stages,
    ready: () => readyAll(stages, shared),
    close: () => closeAll(stages, shared),
  })
}

function stageOf(middleware: Partial<StageMiddleware> | null, position: number): Stage {
  const stage = middleware?.stage as Partial<Stage> | null | undefined
  if (typeof stage?.name === 'string') return stage as Stage
  throw new ConfigError(
    `pipeline: entry ${position} is no stage; make one with defineStage, or mount plain middleware yourself`,
  )
}
