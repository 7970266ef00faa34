import type { IncomingMessage } from 'node:http'
import { BareRecord } from '../lib/bare.js'
import { contextOf, slot, type SecurityContext } from './context.js'
import { routeParams } from './route-params.js'

/** Path parameters by name: text, or several texts for a wildcard of Express 5. */
export type Params = Record<string, unknown>

/** Whose parameters are meant: those under which Express calls a handler, or those that a rule of `routes` reads from the path. */
export type ParamsOf = 'handler' | ((path: string) => Params)

type Routed = IncomingMessage & { params?: Params }

/** One parameter that was judged: as it was sent, and as handlers are to see it. */
interface Known {
  readonly raw: unknown
  /** `undefined`: handlers are not to see it at all. */
  readonly value: unknown
  readonly by: ParamsOf
}

/** What was judged, newest first, and what stands on `req.params` at the moment. */
interface Watched {
  readonly judged: Map<string, readonly Known[]>
  current: Params | undefined
  /** What handlers do not see, because another value was judged under its name; who validates it does. */
  unjudged: Params
}

const watched = slot<Watched>('validate.params')

/** The parameters as they were sent, also if an earlier stage has judged them. */
export function rawParams(ctx: SecurityContext, of: ParamsOf): Params {
  if (of !== 'handler') return of(ctx.path)
  const routed = (ctx.req as Routed).params
  const ruled = ctx.get(routeParams)

  const watching = ctx.get(watched)
  const sent: Params = new BareRecord()
  for (const [name, value] of Object.entries(routed ?? {})) {
    const before = watching?.judged.get(name)?.find((known) => Object.is(known.value, value))
    sent[name] = before === undefined ? value : before.raw
  }
  Object.assign(sent, watching?.unjudged)
  return Object.keys(sent).length === 0 ? (ruled ?? {}) : sent
}

const ofRule: ParamsOf = () => NONE

/**
 * The parameters that a decision is made by: what `validate` made of them, or as they were sent. Handlers then see no others
 * under these names.
 */
export function decidingParams(ctx: SecurityContext, of: ParamsOf): Params {
  const sent = rawParams(ctx, of)
  const params: Params = new BareRecord()
  for (const name of Object.keys(sent)) {
    const raw = sent[name]
    // An optional parameter that is absent is `undefined` in Express 4.
    if (raw === undefined) continue
    const judged = judgedParam(ctx, name, [raw].flat() as string[])
    const value = judged === undefined ? raw : judged.value
    if (value !== undefined) params[name] = value
  }
  // In general settings they are those of the rule, if nobody has routed yet.
  const by = of === 'handler' && sent === ctx.get(routeParams) ? ofRule : of
  if (by !== 'handler') showParams(ctx, sent, params, by)
  return Object.freeze(params)
}

/** What an earlier stage made of this parameter, if it was sent the same text under this name. */
export function judgedParam(
  ctx: SecurityContext,
  name: string,
  texts: readonly string[],
): { readonly value: unknown } | undefined {
  const judged = ctx.get(watched)?.judged.get(name)
  return judged?.find(({ raw }) => raw !== undefined && same([raw].flat(), texts))
}

/**
 * Lets handlers see `result` in the place of the parameters as they were sent. Express assigns `req.params` anew for
 * each layer it enters and leaves, so an accessor translates what it assigns.
 */
export function showParams(ctx: SecurityContext, sent: Params, result: Params, by: ParamsOf): void {
  const req = ctx.req as Routed
  const { judged } = ctx.get(watched) ?? watch(ctx, req)
  const judge = (name: string): void => {
    const known: Known = { raw: sent[name], value: result[name], by }
    const before = judged.get(name)
    judged.set(name, before === undefined ? [known] : [known, ...before])
  }
  for (const name of Object.keys(sent)) judge(name)
  for (const name of Object.keys(result)) if (!Object.hasOwn(sent, name)) judge(name)
  req.params = result
}

function watch(ctx: SecurityContext, req: Routed): Watched {
  const watching: Watched = { judged: new Map(), current: undefined, unjudged: NONE }
  ctx.set(watched, watching)
  Object.defineProperty(req, 'params', PARAMS)
  return watching
}

const NONE: Params = Object.freeze(new BareRecord())

/** The same functions for every request: with some of its own, each would be an object of a shape of its own, and slow for all. */
const PARAMS = {
  configurable: true,
  enumerable: true,
  get(this: Routed): Params | undefined {
    return contextOf(this)?.get(watched)?.current
  },
  set(this: Routed, assigned: Params | undefined): void {
    const watching = contextOf(this)?.get(watched)
    if (watching !== undefined) assign(watching, assigned)
  },
}

/**
 * A handler that sees neither value cannot act on the wrong one: not on what a rule of `routes` read differently, and not
 * on what a route inside calls by the name of what was validated around it.
 */
function assign(watching: Watched, assigned: Params | undefined): void {
  watching.unjudged = NONE
  watching.current = assigned && emptyLike(assigned)
  for (const name of Object.keys(assigned ?? NONE)) {
    const value = assigned![name]
    const judged = watching.judged.get(name)
    const known = judged?.find(({ raw, value: shown }) => same(value, raw) || same(value, shown))
    if (judged === undefined) watching.current![name] = value
    else if (known !== undefined) {
      if (known.value !== undefined) watching.current![name] = known.value
    } else if (judged.every(({ by }) => by === 'handler')) {
      if (watching.unjudged === NONE) watching.unjudged = new BareRecord()
      watching.unjudged[name] = value
    }
  }
}

function emptyLike(params: Params): Params {
  const prototype = Object.getPrototypeOf(params) as object | null
  return prototype === null ? new BareRecord() : (Object.create(prototype) as Params)
}

function same(a: unknown, b: unknown): boolean {
  if (!Array.isArray(a) || !Array.isArray(b)) return Object.is(a, b)
  return a.length === b.length && a.every((item, i) => item === b[i])
}
