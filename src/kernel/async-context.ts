import { AsyncLocalStorage } from 'node:async_hooks'
import type { SecurityContext } from './context.js'
import type { Stage } from './stage.js'

const STORAGE = Symbol.for('secure-api.async-context')

/** One for both copies of the package, ESM and CommonJS. Not there unless somebody opts in. */
const shared = globalThis as unknown as { [STORAGE]: AsyncLocalStorage<SecurityContext> | undefined }

/**
 * What `req.security` is, for code that is called while a request is served and is not given the request. `undefined`
 * outside of one, and wherever `asyncContext` is off, which is the default: following calls costs every request something.
 *
 * @example
 * const api = secureApi({ auth, asyncContext: true })
 * const mine = () => orders.filter(({ owner }) => owner === getSecurity()?.principal?.id)
 */
export function getSecurity(): SecurityContext | undefined {
  return shared[STORAGE]?.getStore()
}

/** Calls `inside` so that it, and whatever it begins, finds `ctx`. */
export function inContext<T>(ctx: SecurityContext, inside: () => T): T {
  return (shared[STORAGE] ??= new AsyncLocalStorage()).run(ctx, inside)
}

/** Handlers answer from callbacks, and connections close on their own: neither need be in the context any more. */
export function settlingInContext(stage: Stage): Stage {
  return Object.create(stage, {
    settle: { value: (ctx: SecurityContext) => inContext(ctx, () => stage.settle!(ctx)) },
  }) as Stage
}

export function shapingInContext(stage: Stage): Stage {
  return Object.create(stage, {
    shape: { value: (ctx: SecurityContext, body: unknown) => inContext(ctx, () => stage.shape!(ctx, body)) },
  }) as Stage
}
