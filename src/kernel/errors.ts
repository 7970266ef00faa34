import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import { attempt } from '../lib/attempt.js'
import { openContext, type SecurityContext } from './context.js'
import { problemIn, refuse, type Problem, type ProblemCode } from './problem.js'
import { refuseReply } from './reply.js'
import type { Services } from './services.js'
import type { Next } from './stage.js'
import { isStoreUnavailable } from './store-unavailable.js'
import { retryAfter } from '../lib/retry-after.js'

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

/**
 * Errors made by `http-errors` say whether clients may know their status; their text stays inside all the same. Anything can be
 * thrown, also what throws when it is looked at.
 */
function problemOf(error: unknown): Problem {
  return (
    problemIn(error) ??
    attempt(() => awayStore(error) ?? exposed(error), undefined) ??
    refuse('broken', { cause: error })
  )
}

function awayStore(error: unknown): Problem | undefined {
  if (!isStoreUnavailable(error)) return undefined
  const headers = { 'Retry-After': retryAfter(error.retryMs) }
  return refuse('store-unavailable', { rule: 'handler', cause: error, headers })
}

function exposed(error: unknown): Problem | undefined {
  const { status, expose, type } = Object(error) as Partial<Record<'status' | 'expose' | 'type', unknown>>
  if (expose !== true || !Number.isInteger(status)) return undefined
  const code = status as number
  if (code < 400 || code > 499) return undefined

  const known = typeof type === 'string' ? BY_STATUS[code] : undefined
  const title = STATUS_CODES[code] ?? 'The request was refused.'
  return refuse(known ?? { code: `http-${code}`, status: code, title }, {
    rule: 'handler',
    reason: 'the handler threw an exposed error',
  })
}
