import type { IncomingMessage } from 'node:http'
import { slot, type SecurityContext } from '../kernel/context.js'
import { routeParams } from '../kernel/route-params.js'

/** Path parameters by name: text, or several texts for a wildcard of Express 5. */
export type Params = Record<string, unknown>

/** Whose parameters are meant: those of the rule in `routes`, or those under which Express calls a handler. */
export type ParamsOf = 'route' | 'handler'

type Routed = IncomingMessage & { params?: Params }

/** One parameter that was judged: as it was sent, and as handlers are to see it. */
interface Known {
  readonly raw: unknown
  /** `undefined`: handlers are not to see it at all. */
  readonly value: unknown
  readonly by: ParamsOf
}

const known = slot<Map<string, Known>>('validate.params')

/** The parameters as they were sent, also if an earlier stage has judged them. */
export function rawParams(ctx: SecurityContext, of: ParamsOf): Params {
  const routed = (ctx.req as Routed).params
  const ruled = ctx.get(routeParams)
  if (of === 'route' && ruled !== undefined) return ruled
  if (routed === undefined || (Object.keys(routed).length === 0 && ruled !== undefined)) return ruled ?? {}

  const judged = ctx.get(known)
  return mapped(routed, (name, value) => {
    const before = judged?.get(name)
    return before !== undefined && Object.is(before.value, value) ? before.raw : value
  })
}

/**
 * Lets handlers see `result` in the place of the parameters as they were sent. Express assigns `req.params` anew for
 * each layer it enters and leaves, so an accessor translates what it assigns.
 */
export function showParams(ctx: SecurityContext, sent: Params, result: Params, by: ParamsOf): void {
  const req = ctx.req as Routed
  const judged = ctx.get(known) ?? watch(ctx, req)
  for (const name of Object.keys(sent)) judged.set(name, { raw: sent[name], value: result[name], by })
  req.params = result
}

function watch(ctx: SecurityContext, req: Routed): Map<string, Known> {
  const judged = new Map<string, Known>()
  let current: Params | undefined
  Object.defineProperty(req, 'params', {
    configurable: true,
    enumerable: true,
    get: () => current,
    set(assigned: Params | undefined) {
      current = assigned && translated(assigned, judged)
    },
  })
  ctx.set(known, judged)
  return judged
}

function translated(assigned: Params, judged: ReadonlyMap<string, Known>): Params {
  const seen = Object.create(Object.getPrototypeOf(assigned) as object | null) as Params
  for (const [name, value] of Object.entries(assigned)) {
    const before = judged.get(name)
    if (before === undefined) seen[name] = value
    else if (same(value, before.raw) || same(value, before.value)) {
      if (before.value !== undefined) seen[name] = before.value
    } else if (before.by === 'handler') seen[name] = value
    // The rule judged another value under this name: a handler that sees neither cannot act on the wrong one.
  }
  return seen
}

function same(a: unknown, b: unknown): boolean {
  if (!Array.isArray(a) || !Array.isArray(b)) return Object.is(a, b)
  return a.length === b.length && a.every((item, i) => item === b[i])
}

function mapped(params: Params, use: (name: string, value: unknown) => unknown): Params {
  const result = Object.create(null) as Params
  for (const [name, value] of Object.entries(params)) result[name] = use(name, value)
  return result
}
