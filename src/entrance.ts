import type { IncomingMessage, ServerResponse } from 'node:http'
import { undecided } from './handler-watch.js'
import { run } from './kernel/compile.js'
import { openContext, originalUrl, type SecurityContext } from './kernel/context.js'
import { failExchange } from './kernel/errors.js'
import { prepareForExpress } from './kernel/express-shape.js'
import { isOver } from './kernel/is-gone.js'
import { addVeto, openReply } from './kernel/reply.js'
import { routeParams } from './kernel/route-params.js'
import type { Services } from './kernel/services.js'
import { inviteBody } from './kernel/unsent-body.js'
import { inStep } from './lib/in-step.js'
import { isThenable } from './lib/when.js'
import type { Plan, Plans } from './plans.js'

/**
 * Lets a request in, once for as long as it is the same request. `next` hears of it, and by which plan.
 *
 * @param byExpress whether Express routes it; without a word, what is on the request tells
 */
export type Enter = (
  req: IncomingMessage,
  res: ServerResponse,
  next: (error: unknown, plan: Plan, ctx: SecurityContext) => void,
  byExpress?: boolean,
) => void

/** A plain request handler: an Express application is one. */
export type Handler = (req: IncomingMessage, res: ServerResponse) => unknown

/** How requests get into one API. What others let in does not count. */
export function entrance(plans: Plans, services: Services, { strict }: { strict: boolean }): Enter {
  const enter: Enter = (req, res, next, byExpress = isInExpress(req)) => {
    const ctx = openContext(req, res, services)
    ctx.use(services)
    const method = req.method ?? 'GET'
    const routed = routedUrl(req)
    // Most requests come by once, and have been nowhere.
    const isNew = ctx.entries.length === 0
    const entered = isNew
      ? undefined
      : ctx.entries.find(
          (entry) => entry.by === enter && entry.passed && entry.url === routed && entry.method === method,
        )
    if (entered !== undefined) return next(undefined, entered.plan as Plan, ctx)

    let plan: Plan
    try {
      const altered = !isNew && ctx.entries.some((entry) => entry.method !== method)
      plan = plans.of(method, originalUrl(req), routed, altered, !byExpress)
    } catch (cause) {
      return failExchange(ctx, cause)
    }
    const entry = { by: enter, url: routed, method, plan, passed: false }
    ctx.entries.push(entry)
    // Decided about another URL is not decided about this one.
    ctx.decided = false
    ctx.route = plan.route
    if (plan.paramsOf !== undefined) ctx.set(routeParams, plan.paramsOf(ctx.path))
    if (plan.pipeline.completes) openReply(ctx)
    if (strict && (method === 'GET' || method === 'HEAD')) addVeto(ctx, undecided)
    let isDirect = !mayWait(req)
    run(plan.pipeline, ctx, (error) => {
      entry.passed = error === undefined
      if (entry.passed) inviteBody(ctx)
      if (isDirect || error !== undefined) return next(error, plan, ctx)
      inStep(() => {
        if (isOver(ctx)) return
        try {
          // Whoever came by meanwhile may have made something else of it.
          if (routedUrl(req) !== routed || (req.method ?? 'GET') !== method) enter(req, res, next, byExpress)
          else next(undefined, plan, ctx)
        } catch (failure) {
          // There is no caller any more who could catch it.
          failExchange(ctx, failure)
        }
      })
    })
    isDirect = true
  }
  return enter
}

/**
 * Whether a request that passed at once goes on in step. One that has been read to its end has waited before, and a client that has
 * ended its side is gone when it waits once more. A body that nobody has read may flow by before its reader is called.
 */
function mayWait({ complete, headers }: IncomingMessage): boolean {
  return !complete && headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0'
}

/** The application behind the entrance: it sees what has been let in, and what it throws is answered. */
export function frontDoor(enter: Enter, app: Handler) {
  const byExpress = isExpress(app)
  return (req: IncomingMessage, res: ServerResponse): void =>
    enter(
      req,
      res,
      (error, _plan, ctx) => {
        if (error !== undefined) return failExchange(ctx, error)
        prepareForExpress(req, res)
        try {
          const answer = app(req, res)
          if (isThenable(answer)) answer.then(undefined, (cause: unknown) => failExchange(ctx, cause))
        } catch (cause) {
          failExchange(ctx, cause)
        }
      },
      byExpress,
    )
}

/*
 * What is mounted at a path answers for what begins with it, up to a slash in Express, and in Connect up to a dot too. Any
 * other handler may have Connect in it.
 */

function isExpress(app: Handler): boolean {
  const { set, engine } = app as { set?: unknown; engine?: unknown }
  return typeof set === 'function' && typeof engine === 'function'
}

function isInExpress(
  req: IncomingMessage & { baseUrl?: string },
): req is IncomingMessage & { baseUrl: string } {
  return req.baseUrl !== undefined
}

/**
 * The URL as the application routes it. Mounting under a path shortens `req.url`, which is no reason to read it
 * differently; only a rewritten URL is.
 */
function routedUrl(req: IncomingMessage & { baseUrl?: string }): string {
  const original = originalUrl(req)
  const url = req.url ?? '/'
  if (url === original) return original
  // Without `baseUrl` (Connect), a mounted URL looks like a rewritten one, so it is treated as one.
  if (!isInExpress(req)) return url
  const routed = req.baseUrl + url
  const mountRoot = url.startsWith('/?') || url === '/' ? req.baseUrl + url.slice(1) : routed
  return routed === original || mountRoot === original ? original : routed
}
