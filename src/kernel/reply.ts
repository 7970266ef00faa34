import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { isThenable } from '../lib/when.js'
import type { SecurityContext } from './context.js'
import { refuse, type Problem } from './problem.js'
import { refuseReply } from './refusal.js'
import type { Stage } from './stage.js'
import { traceStage } from './trace.js'

/** Looks at a reply right before its first byte; what it returns is sent in the reply's place. */
export type Veto = (ctx: SecurityContext) => Problem | undefined

/**
 * Everything that stands between a handler and the wire. Made for the first stage that needs it; later ones (a guard's)
 * join. `open`: the handler has the word. `shaped`: its JSON went through all shapers. `ours`: a refusal is being written.
 * `over`: a refusal was written, and what the handler still says is dropped.
 */
export interface Reply {
  state: 'open' | 'shaped' | 'ours' | 'over'
  readonly shapers: Stage[]
  readonly vetoes: Veto[]
  readonly listeners: ((ctx: SecurityContext) => void)[]
  judged: boolean
  bodyWrapped: boolean
  headSeen: boolean
  /** Writes a refusal in the place of everything else. */
  answer: (statusCode: number, body: string | undefined) => void
}

/** Puts `stages` between the handler's JSON and the wire. The last one added is the first to see a body. */
export function addShapers(ctx: SecurityContext, stages: readonly Stage[]): void {
  wholeReplyOf(ctx).shapers.push(...stages)
}

/** Asks `veto` before the first byte of anything but our own refusals. */
export function addVeto(ctx: SecurityContext, veto: Veto): void {
  wholeReplyOf(ctx).vetoes.push(veto)
}

/**
 * Calls `listener` once, right before the status line is written, for refusals too. `ctx.res.statusCode` is final and
 * header fields can still be set.
 */
export function onHead(ctx: SecurityContext, listener: (ctx: SecurityContext) => void): void {
  replyOf(ctx).listeners.push(listener)
}

/** Takes the reply in hand, so that what the handler says after a refusal is dropped. */
export function silenceHandler(ctx: SecurityContext): void {
  wholeReplyOf(ctx)
}

/** The methods of a response as plain functions, which is how they are wrapped and called. */
interface Raw {
  writeHead: (...head: Head) => unknown
  write: (...args: unknown[]) => unknown
  end: (...args: unknown[]) => unknown
  flushHeaders: () => void
  json?: (...args: unknown[]) => unknown
  jsonp?: (...args: unknown[]) => unknown
}

function replyOf(ctx: SecurityContext): Reply {
  if (ctx.reply !== undefined) return ctx.reply
  const reply: Reply = {
    state: 'open',
    shapers: [],
    vetoes: [],
    listeners: [],
    judged: false,
    bodyWrapped: false,
    headSeen: false,
    answer: () => undefined,
  }
  ctx.reply = reply
  wrapHead(ctx, reply)
  return reply
}

/** Where a reply may be refused, its body has to be in our hands too: what is written after a refusal must not get out. */
function wholeReplyOf(ctx: SecurityContext): Reply {
  const reply = replyOf(ctx)
  if (!reply.bodyWrapped) {
    reply.bodyWrapped = true
    wrapBody(ctx, reply)
  }
  return reply
}

type Head = [statusCode: number, reason?: string | Headers, headers?: Headers]
type Headers = OutgoingHttpHeaders | OutgoingHttpHeader[]

function wrapHead(ctx: SecurityContext, reply: Reply): void {
  const { res } = ctx
  const raw = res as unknown as Raw
  const { writeHead, end } = raw

  raw.writeHead = (...[statusCode, reason, headers]: Head) => {
    if (reply.state === 'over') return res
    if (res.headersSent) return writeHead.call(res, statusCode)
    const fields = headers ?? (typeof reason === 'string' ? undefined : reason)
    res.statusCode = statusCode
    if (fields !== undefined) setHeaders(res, fields)
    if (stopped(ctx, reply, undefined, false)) return res
    if (!reply.headSeen) {
      reply.headSeen = true
      for (const listener of reply.listeners) listener(ctx)
    }
    return typeof reason === 'string'
      ? writeHead.call(res, statusCode, reason)
      : writeHead.call(res, statusCode)
  }

  raw.end = (...args: unknown[]) => {
    const [chunk] = args
    if (
      reply.state === 'over' ||
      stopped(ctx, reply, typeof chunk === 'function' ? undefined : chunk, true)
    ) {
      settleWrite(args)
      return res
    }
    return end.apply(res, args)
  }

  // A refusal goes past whatever was wrapped around the response later, such as compression inside the application.
  const head = raw.writeHead
  reply.answer = (statusCode, body) => {
    reply.state = 'ours'
    head(statusCode)
    end.call(res, body)
    close(res, reply)
  }
}

/**
 * A handler that goes on talking to a reply that is over must not be told so by an exception: in a callback of its own,
 * that would end the process.
 */
function close(res: ServerResponse, reply: Reply): void {
  reply.state = 'over'
  const deaf = res as unknown as Record<string, () => unknown>
  for (const name of ['setHeader', 'setHeaders', 'appendHeader', 'removeHeader', 'addTrailers']) {
    deaf[name] = () => res
  }
}

function wrapBody(ctx: SecurityContext, reply: Reply): void {
  const { res } = ctx
  const raw = res as unknown as Raw
  const { write, flushHeaders } = raw

  raw.write = (...args: unknown[]) => {
    if (reply.state === 'over' || stopped(ctx, reply, args[0], false)) {
      settleWrite(args)
      return true
    }
    return write.apply(res, args)
  }

  raw.flushHeaders = () => {
    if (reply.state !== 'over' && !stopped(ctx, reply, undefined, false)) flushHeaders.call(res)
  }

  for (const name of ['json', 'jsonp'] as const) {
    const previous = Object.hasOwn(raw, name) ? raw[name] : undefined
    raw[name] = (...args: unknown[]) => {
      deliver(ctx, reply, args, (body) => {
        // Looked up late: behind the front door, Express gives the response its prototype after this was installed.
        const send = previous ?? (Object.getPrototypeOf(res) as Raw)[name] ?? sendJson
        send.call(res, body)
      })
      return res
    }
  }
}

/** Shapes what the handler gave to `json`, then hands it on. Express 4 also accepts `(status, body)` and `(body, status)`. */
function deliver(ctx: SecurityContext, reply: Reply, args: unknown[], send: (body: unknown) => void): void {
  const { res } = ctx
  if (reply.state === 'over') return
  const [first, second] = args
  const statusFirst = typeof first === 'number' && second !== undefined && typeof second !== 'number'
  if (statusFirst) res.statusCode = first
  else if (typeof second === 'number') res.statusCode = second
  const body = statusFirst ? second : first

  const finish = (shaped: unknown): void => {
    if (res.headersSent || res.destroyed) return
    reply.state = 'shaped'
    try {
      send(shaped)
    } catch (error) {
      reply.state = 'open'
      throw error
    }
  }

  let shaped: unknown
  try {
    shaped = shape(ctx, reply.shapers, reply.shapers.length - 1, body)
  } catch (cause) {
    return refuseReply(ctx, refuse('unshapable', { rule: 'shaper-failed', cause }))
  }
  if (!isThenable(shaped)) return finish(shaped)
  shaped
    .then(finish)
    .then(undefined, (cause: unknown) =>
      refuseReply(ctx, refuse('unshapable', { rule: 'shaper-failed', cause })),
    )
}

/** Replies climb: the stage nearest to the handler sees the body first. */
function shape(ctx: SecurityContext, shapers: readonly Stage[], from: number, body: unknown): unknown {
  let shaped = body
  for (let i = from; i >= 0; i--) {
    const stage = shapers[i]!
    const started = ctx.trace === undefined ? 0 : ctx.services.clock.monotonic()
    ctx.rule = ctx.why = undefined
    shaped = stage.shape!(ctx, shaped)
    if (isThenable(shaped)) {
      return shaped.then((value) => {
        traceStage(ctx, stage.name, 'shaped', started)
        return shape(ctx, shapers, i - 1, value)
      })
    }
    traceStage(ctx, stage.name, 'shaped', started)
  }
  return shaped
}

/** What `json` means where no framework offers it. */
function sendJson(this: ServerResponse, body: unknown): void {
  const text = JSON.stringify(body) as string | undefined
  if (!this.hasHeader('Content-Type')) this.setHeader('Content-Type', 'application/json; charset=utf-8')
  this.setHeader('Content-Length', Buffer.byteLength(text ?? ''))
  this.end(this.req.method === 'HEAD' ? undefined : text)
}

/** Asked once, before the first byte. `true`: the reply was refused, and a problem was sent in its place. */
function stopped(ctx: SecurityContext, reply: Reply, chunk: unknown, final: boolean): boolean {
  if (reply.state === 'ours' || reply.judged) return false
  reply.judged = true
  let problem: Problem | undefined
  for (const veto of reply.vetoes) problem = problem ?? veto(ctx)
  if (reply.shapers.length > 0 && reply.state === 'open') problem ??= unshapable(ctx, chunk, final)
  if (problem === undefined) return false
  refuseReply(ctx, problem)
  return true
}

const SHAPABLE = new Set([
  'application/json',
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'text/json',
  'text/event-stream',
])
const SCRIPT = new Set(['text/javascript', 'application/javascript', 'application/x-javascript'])

/** JSON that did not come through the shapers could carry what they hide. Other media types pass, on record. */
function unshapable(ctx: SecurityContext, chunk: unknown, final: boolean): Problem | undefined {
  const { res, req } = ctx
  const { statusCode } = res
  const bodyless = req.method === 'HEAD' || statusCode === 204 || statusCode === 304 || statusCode < 200
  const empty =
    final && (chunk === undefined || chunk === null || (chunk as { length?: number }).length === 0)
  if (bodyless || empty) return undefined

  const mediaType = mediaTypeOf(res)
  if (
    mediaType === '' ||
    SHAPABLE.has(mediaType) ||
    /json/.test(mediaType) ||
    (SCRIPT.has(mediaType) && isJsonp(chunk))
  ) {
    return refuse('unshapable', {
      rule: 'unshaped-json',
      reason:
        'a reply of JSON, or of no declared type, was not given to res.json(), so it could not be shaped',
    })
  }
  ctx.record('unshaped', { mediaType })
  return undefined
}

function mediaTypeOf(res: ServerResponse): string {
  const field = res.getHeader('Content-Type')
  const text = Array.isArray(field) ? field.join(',') : String(field ?? '')
  const end = text.search(/[;,]/)
  return (end === -1 ? text : text.slice(0, end)).trim().toLowerCase()
}

/** JSONP as Express writes it begins with an empty comment. */
function isJsonp(chunk: unknown): boolean {
  if (typeof chunk === 'string') return chunk.startsWith('/**/')
  return !(chunk instanceof Uint8Array) || Buffer.from(chunk.subarray(0, 4)).toString('latin1') === '/**/'
}

function setHeaders(res: ServerResponse, fields: Headers): void {
  if (!Array.isArray(fields)) {
    for (const [name, value] of Object.entries(fields)) if (value !== undefined) res.setHeader(name, value)
    return
  }
  // Node takes `[[name, value], ...]` and `[name, value, name, value, ...]`.
  const flat = fields.flat() as string[]
  const seen = new Set<string>()
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const name = flat[i]!
    if (seen.has(name.toLowerCase())) res.appendHeader(name, flat[i + 1]!)
    else res.setHeader(name, flat[i + 1]!)
    seen.add(name.toLowerCase())
  }
}

/** A write that was dropped still tells its writer that it is done, so that pipes end instead of hanging. */
function settleWrite(args: readonly unknown[]): void {
  const callback = args.find((arg) => typeof arg === 'function') as (() => void) | undefined
  if (callback !== undefined) process.nextTick(callback)
}
