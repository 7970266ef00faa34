import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import { openContext, type SecurityContext } from './context.js'
import { isProblem, refuse, type Problem, type ProblemCode } from './problem.js'
import { refuseReply } from './reply.js'
import type { Services } from './services.js'
import type { Next } from './stage.js'

/** Express error middleware. */
export type ErrorMiddleware = (error: unknown, req: IncomingMessage, res: ServerResponse, next: Next) => void

/** Answers what handlers throw, the way refusals are answered: nothing of the error reaches the client. */
export function errorAnswerer(services: Services): ErrorMiddleware {
  // Express tells error middleware by its four parameters.
  return (error, req, res, _next) => failExchange(openContext(req, res, services), error)
}

/** Ends an exchange whose handler failed. A reply that has begun is cut off; one that is complete is left alone. */
export function failExchange(ctx: SecurityContext, error: unknown): void {
  if (ctx.res.writableEnded || ctx.reply?.isOver === true) {
    ctx.services.log.error('handler: failed after it had answered', { id: ctx.id, cause: error })
    return
  }
  refuseReply(ctx, problemOf(error), 'handler')
}

const BY_STATUS: Readonly<Record<number, ProblemCode>> = {
  400: 'malformed-body',
  413: 'body-too-large',
  415: 'unsupported-media-type',
}

/** Errors made by `http-errors` say whether clients may know their status; their text stays inside all the same. */
function problemOf(error: unknown): Problem {
  const { problem, status, expose, type } = (
    typeof error === 'object' && error !== null ? error : {}
  ) as Partial<Record<'problem' | 'status' | 'expose' | 'type', unknown>>
  // Asked this way, a `RefusedError` of another copy of the package is one too.
  if (isProblem(problem)) return problem
  if (expose !== true || typeof status !== 'number' || status < 400 || status > 499)
    return refuse('broken', { cause: error })

  const known = typeof type === 'string' ? BY_STATUS[status] : undefined
  const title = STATUS_CODES[status] ?? 'The request was refused.'
  return refuse(known ?? { code: `http-${status}`, status, title }, {
    rule: 'handler',
    reason: 'the handler threw an exposed error',
  })
}
