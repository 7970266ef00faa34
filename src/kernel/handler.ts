import { isThenable, when } from '../lib/when.js'
import { compile } from './compile.js'
import type { SecurityContext } from './context.js'
import { readHandlerBody, type BodyKind, type HandlerBody } from './handler-body.js'
import type { Later } from './ports.js'
import { isProblem, refuse, type Problem } from './problem.js'
import { answerWith } from './respond.js'
import { answered, type Middleware, type Verdict } from './stage.js'

/** What a handler says. */
export interface HandlerReply {
  /** Default 200. */
  readonly status?: number
  /** Default: no body. */
  readonly json?: unknown
  /** Beside them, and instead of `Cache-Control: no-store`. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
}

/** An endpoint: which requests it takes, and what it answers. */
export interface Handler {
  /** `GET` stands for `HEAD` too. Others: 405 `method-not-allowed` with `Allow`. */
  readonly methods: readonly ('GET' | 'POST' | 'DELETE')[]
  /** What `POST` may bring. Default: its body is not read. */
  readonly body?: readonly BodyKind[]
  /** Longest body, in bytes. Default 16,384. Longer: 413 `body-too-large`. */
  readonly maxBodyBytes?: number
  /** @param body without a prototype; empty where none is read */
  answer(ctx: SecurityContext, body: HandlerBody): Later<HandlerReply | Problem>
  /** The last word on each refusal, for protocols that have words of their own. */
  refused?(problem: Problem): Problem
}

const NO_BODY: HandlerBody = Object.freeze(Object.create(null) as HandlerBody)
const MAX_BYTES = 16_384

/**
 * An endpoint as plain middleware, to be mounted by one line. It answers, and never calls `next`. Its refusals go through the one
 * writer; its replies pass no shaper, because nothing in them is anybody's but the caller's.
 */
export function defineHandler(name: string, handler: Handler): Middleware {
  const { methods, body: kinds = [], maxBodyBytes: maxBytes = MAX_BYTES } = handler
  const allowed = methods.flatMap((one) => (one === 'GET' ? ['GET', 'HEAD'] : [one]))
  const notAllowed = { rule: 'method', headers: { Allow: allowed.join(', ') } }

  const conclude = (ctx: SecurityContext, outcome: HandlerReply | Problem): Verdict => {
    if (isProblem(outcome)) return handler.refused?.(outcome) ?? outcome
    send(ctx, outcome)
    return answered
  }

  const enter = (ctx: SecurityContext): Verdict | Promise<Verdict> => {
    const { method = '' } = ctx.req
    if (!allowed.includes(method)) return conclude(ctx, refuse('method-not-allowed', notAllowed))
    const body = method === 'POST' && kinds.length > 0 ? readHandlerBody(ctx, kinds, maxBytes) : NO_BODY
    return when(body, (read) => {
      if (isProblem(read)) return conclude(ctx, read)
      const outcome = handler.answer(ctx, read)
      return isThenable(outcome) ? outcome.then((late) => conclude(ctx, late)) : conclude(ctx, outcome)
    })
  }
  return compile([{ name, enter }])
}

function send(ctx: SecurityContext, { status = 200, json, headers = {} }: HandlerReply): void {
  const { res, head } = ctx
  if (res.headersSent || res.destroyed) return
  head.setHeader('Cache-Control', 'no-store')
  for (const name in headers) head.setHeader(name, headers[name] as string | string[])
  const text = json === undefined ? '' : JSON.stringify(json)
  if (json !== undefined) head.setHeader('Content-Type', 'application/json; charset=utf-8')
  head.setHeader('Content-Length', Buffer.byteLength(text))
  answerWith(ctx, status, text)
}
