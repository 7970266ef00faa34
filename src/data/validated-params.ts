import type { IncomingMessage } from 'node:http'
import { contextOf, slot, type SecurityContext } from '../kernel/context.js'
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

/** What was judged, and what stands on `req.params` at the moment. */
interface Watched {
  readonly judged: Map<string, Known>
  current: Params | undefined
}

const watched = slot<Watched>('validate.params')

/** The parameters as they were sent, also if an earlier stage has judged them. */
export function rawParams(ctx: SecurityContext, of: ParamsOf): Params {
  const routed = (ctx.req as Routed).params
  const ruled = ctx.get(routeParams)
  if (of === 'route' && ruled !== undefined) return ruled
  if (routed === undefined || (Object.keys(routed).length === 0 && ruled !== undefined)) return ruled ?? {}

  const judged = ctx.get(watched)?.judged
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
  const { judged } = ctx.get(watched) ?? watch(ctx, req)
  for (const name of Object.keys(sent)) judged.set(name, { raw: sent[name], value: result[name], by })
  req.params = result
}

function watch(ctx: SecurityContext, req: Routed): Watched {
  const watching: Watched = { judged: new Map(), current: undefined }
  ctx.set(watched, watching)
  Object.defineProperty(req, 'params', PARAMS)
  return watching
}

/** The same functions for every request: with some of its own, each would be an object of a shape of its own, and slow for all. */
const PARAMS = {
  configurable: true,
  enumerable: true,
  get(this: Routed): Params | undefined {
    return contextOf(this)?.get(watched)?.current
  },
  set(this: Routed, assigned: Params | undefined): void {
    const watching = contextOf(this)?.get(watched)
    if (watching !== undefined) watching.current = assigned && translated(assigned, watching.judged)
  },
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
