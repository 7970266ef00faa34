import { compile } from './compile.js'
import type { Stage, StageMiddleware } from './stage.js'

type Unnamed = Omit<Stage, 'name'>
type Named<S> = S & { readonly name: string }

/**
 * Turns a builder of Stages into the public factory users call: `rateLimit({ limit: 5 })`. What the factory returns is
 * plain middleware, and carries its Stage, so that a pipeline can inline it.
 */
export function defineStage<Args extends unknown[], S extends Unnamed>(
  name: string,
  build: (...args: Args) => S,
): (...args: Args) => StageMiddleware<Named<S>> {
  return (...args) => {
    const stage: Named<S> = Object.assign(build(...args), { name })
    return Object.assign(compile([stage]), { stage })
  }
}
