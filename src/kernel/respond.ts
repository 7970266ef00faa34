import { STATUS_CODES } from 'node:http'
import type { SecurityContext } from './context.js'
import { refuse, type Problem } from './problem.js'
import { problemText } from './problem-text.js'
import type { Next } from './stage.js'
import { isBodyless } from './unshapable.js'
import { hasMuchToSend } from './unsent-body.js'

/** Answers a refusal. `next` is the application's, for those who hand refusals on. */
export type Respond = (ctx: SecurityContext, problem: Problem, next: Next) => void

/**
 * The only writer of error responses: `application/problem+json` (RFC 9457) unless a protocol says otherwise, `no-store`, and the problem's own headers.
 * `reason` and `cause` stay inside. Once the reply has begun, nothing true can be said any more: the connection is cut.
 * A problem that cannot be written, because of a line break in a header or a member that is no JSON, becomes 500 `broken`.
 */
export function respond(ctx: SecurityContext, problem: Problem): void {
  try {
    write(ctx, problem)
  } catch (cause) {
    // An exception here would leave through the server and end the process.
    ctx.services.log.error(`respond: ${problem.code} cannot be written`, { id: ctx.id, cause })
    try {
      write(ctx, refuse('broken'))
    } catch {
      // What stands on the response cannot be sent either.
      ctx.res.destroy()
    }
  }
}

function write(ctx: SecurityContext, problem: Problem): void {
  const { res, head, id, services } = ctx
  if (res.destroyed || res.writableEnded) return
  if (res.headersSent) {
    res.destroy()
    return
  }

  for (const name of OF_ANOTHER_BODY) {
    // Taking away a Transfer-Encoding that is not there would tell Node never to use one.
    if (head.hasHeader(name)) head.removeHeader(name)
  }
  const body = problemText(problem, services.problemBase, id)
  res.statusCode = problem.status
  res.statusMessage = STATUS_CODES[problem.status] ?? ''
  for (const name in problem.headers) head.setHeader(name, unshared(problem.headers[name]!))
  head.setHeader('Content-Type', `${problem.mediaType ?? 'application/problem+json'}; charset=utf-8`)
  head.setHeader('Cache-Control', 'no-store')
  head.setHeader('Content-Length', Buffer.byteLength(body))

  answerWith(ctx, problem.status, body)
}

/**
 * Ends an exchange with a body of our own. What shapes and judges replies is for those of handlers, and does not see it. Header fields are
 * those of `ctx.head`.
 */
export function answerWith(ctx: SecurityContext, status: number, body: string): void {
  const { req, res, reply } = ctx
  if (hasMuchToSend(req)) ctx.head.setHeader('Connection', 'close')
  res.statusCode = status
  const payload = isBodyless(res) ? undefined : body
  if (reply === undefined) res.end(payload)
  else reply.answer(status, payload)
}

/** Header fields that speak of the body which the problem takes the place of. */
const OF_ANOTHER_BODY = [
  'Content-Encoding',
  'Content-Range',
  'ETag',
  'Last-Modified',
  'Transfer-Encoding',
  'Trailer',
] as const

/** Node adds to the very list that it was given (`res.appendHeader`), and many refusals may have that one. */
function unshared(value: string | readonly string[]): string | string[] {
  return Array.isArray(value) ? [...(value as readonly string[])] : (value as string)
}

/** A refusal as an error, for an application that renders its errors itself. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[]>>

  constructor(readonly problem: Problem) {
    super(problem.detail ?? problem.title)
    this.status = problem.status
    const fields = Object.entries(problem.headers ?? {})
    this.headers = Object.fromEntries(fields.map(([name, value]) => [name, unshared(value)]))
  }

  /** What clients may know, for those who put the error into a reply. */
  toJSON(): object {
    const { code, status, title, detail } = this.problem
    return { code, status, title, ...(detail !== undefined && { detail }) }
  }
}

/**
 * Hands refusals to your own Express error handler, as `RefusedError`. For `secureApi({ respond: forward })` that is mounted
 * by `app.use(api)`: in front of the application, behind `protect(app)`, there is no error handler yet.
 */
export const forward: Respond = (_ctx, problem, next) => next(new RefusedError(problem))
