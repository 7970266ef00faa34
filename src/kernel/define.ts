import { integer, knownKeys, oneOf } from './check.js'
import { compile, type CompileOptions } from './compile.js'
import { enforcementOf, type Enforcement } from './mode.js'
import { createServices, SERVICE_OPTIONS, type ServiceOptions } from './services.js'
import type { Stage, StageMiddleware } from './stage.js'

type Unnamed = Omit<Stage, 'name'>
type Named<S> = S & { readonly name: string }

type FactoryArgs<Args extends unknown[]> = Args extends []
  ? [options?: undefined, standalone?: Standalone]
  : [...Args, standalone?: Standalone]

/** What a stage needs to know when it stands alone. Inside `secureApi()` and `pipeline()` it takes no part. */
export interface Standalone extends ServiceOptions {
  /** `'report'` puts refusals on record and lets the request through. Default `'enforce'`. */
  mode?: Enforcement
}

/**
 * Turns a builder of Stages, which takes one argument, into the public factory users call: `rateLimit({ limit: 5 })`.
 * What the factory returns is plain middleware, and carries its Stage, so that a pipeline can inline it. The factory's
 * second argument is for the stage that stands alone: `rateLimit({ limit: 5 }, { mode: 'report' })`.
 */
export function defineStage<Args extends [options?: unknown], S extends Unnamed>(
  name: string,
  build: (...args: Args) => S,
): (...args: FactoryArgs<Args>) => StageMiddleware<Named<S>> {
  return (...args) => {
    const [options, standalone] = args as unknown as [unknown, Standalone | undefined]
    const stage: Named<S> = Object.assign(build(...([options] as unknown as Args)), { name })
    const { timeoutMs } = stage as Stage
    if (timeoutMs !== undefined && timeoutMs !== false)
      integer(`${name}.timeoutMs`, timeoutMs, { max: 2_147_483_647 })
    return Object.assign(compile([stage], compileOptions(stage, standalone)), { stage })
  }
}

function compileOptions(stage: Stage, standalone: Standalone | undefined): CompileOptions {
  if (standalone === undefined) return {}
  knownKeys(`${stage.name}: the second argument`, standalone, ['mode', ...SERVICE_OPTIONS])
  const { mode = 'enforce', ...services } = standalone
  oneOf('mode', mode, ['enforce', 'report'])
  return {
    ...(Object.keys(services).length > 0 && { services: createServices(services) }),
    enforcement: enforcementOf({ [stage.name]: mode }),
  }
}
