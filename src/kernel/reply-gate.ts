import { joined } from '../lib/joined.js'
import { isThenable } from '../lib/when.js'
import type { SecurityContext } from './context.js'
import { PendingHead, type Head } from './head.js'
import { setHeaderFields, type HeaderFields } from './header-fields.js'
import { calledBack, deafen, intercept, interceptHead, isOurs, methodsOf, type Methods } from './intercept.js'
import { isUnwrapped, sendInOnePiece } from './one-piece.js'
import { refuse, type Problem } from './problem.js'
import { dropHandlerHeaders, recordRefusal } from './refusal.js'
import { ReplyVerdict, type Veto } from './reply-verdict.js'
import { respond } from './respond.js'
import { bodyOf, isReplaced, jsonBelow, onText } from './send-json.js'
import { shape } from './shape.js'
import type { Stage } from './stage.js'
import { isBodyless, isEmpty } from './unshapable.js'

/** Hears of a head that is about to be written. */
export type HeadListener = (ctx: SecurityContext) => void

/**
 * What stands between a handler and the wire. A reply is judged when its first byte is to be written and its head is
 * complete: until then nothing has left, and a refusal can take its place.
 */
export class ReplyGate {
  /**
   * `open`: the handler has the word. `ours`: a refusal is being written. `over`: it was written, and what the handler
   * still says is dropped.
   */
  private state: 'open' | 'ours' | 'over' = 'open'
  private shapers: readonly Stage[] = NONE
  private listeners: readonly HeadListener[] = NONE
  /** Only where somebody wants to judge the reply. */
  private verdict: ReplyVerdict | undefined = undefined

  /** The response's methods as they were found: what lies between this and the wire. */
  private readonly below: Methods
  /** Until the head is written, or the handler runs. */
  private pending: PendingHead | undefined
  /** The head has come by: whoever wrapped `writeHead` since has had their say. */
  private announced = false
  private announcing = false

  constructor(private readonly ctx: SecurityContext) {
    const { res } = ctx
    this.below = methodsOf(res)
    this.pending = res.headersSent ? undefined : new PendingHead(res)
    intercept(res, this)
  }

  addShapers(stages: readonly Stage[]): void {
    this.judging().raw = true
    this.shapers = joined(this.shapers, stages)
  }

  addVeto(veto: Veto): void {
    this.judging().addVeto(veto)
  }

  onHead(listener: HeadListener): void {
    this.listeners = joined(this.listeners, [listener])
  }

  /** Where header fields go now. */
  get head(): Head {
    return this.pending ?? this.ctx.res
  }

  /**
   * From here on, header fields are where handlers look for them.
   *
   * @returns the names of all that are there, where that is known without asking
   */
  commitHead(): string[] | undefined {
    const names = this.pending?.commit()
    this.pending = undefined
    return names
  }

  /** Puts a refusal in the place of what the handler wanted to send, and drops what it still says. */
  refuse(problem: Problem, stage = 'reply'): void {
    const { ctx } = this
    if (this.isOver) return
    recordRefusal(ctx, stage, problem)
    dropHandlerHeaders(ctx)
    respond(ctx, problem)
    this.state = 'over'
    deafen(ctx.res)
  }

  /** Writes a refusal, past whatever was wrapped around the response later, such as compression inside the application. */
  answer(statusCode: number, body: string | undefined): void {
    this.state = 'ours'
    const { pending } = this
    const { res } = this.ctx
    if (pending !== undefined && this.isPlain()) this.hearOfHead()
    const isSent =
      pending !== undefined && this.isPlain() && sendInOnePiece(res, statusCode, pending.fields, body)
    if (!isSent) {
      this.writeHead(statusCode)
      this.below.end.call(res, body)
    }
    this.state = 'over'
  }

  /** Whether a refusal has taken the place of the reply. */
  get isOver(): boolean {
    return this.state === 'over'
  }

  writeHead(statusCode: number, reason?: string | HeaderFields, fields?: HeaderFields): void {
    if (this.isOver) return
    const { res } = this.ctx
    if (!res.headersSent) {
      this.commitHead()
      res.statusCode = statusCode
      if (typeof reason === 'string') res.statusMessage = reason
      const given = fields ?? (typeof reason === 'string' ? undefined : reason)
      if (given) setHeaderFields(res, given)
      this.announced = true
      if (this.announcing || this.unseen() !== undefined) return
      this.hearOfHead()
    }
    this.below.writeHead.call(res, statusCode)

    const problem = this.verdict?.reconsider()
    // The head was written but has not left; now it never will.
    if (problem !== undefined && this.state === 'open') this.refuse(problem)
  }

  /** Whether Node may put bytes of the reply on the wire. If nobody has seen them, its own methods were called. */
  mayLeave(): boolean {
    const problem = this.unseen()
    if (problem === undefined) return true
    const { res } = this.ctx
    res.on('error', () => undefined)
    this.refuse({ ...problem, headers: { Connection: 'close' } })
    // Whoever goes past the response's methods goes past this as well, unless there is no wire any more.
    res.socket?.destroySoon()
    return false
  }

  write(chunk: unknown, encoding: unknown, callback: unknown): unknown {
    const { res } = this.ctx
    const nothing = res.writableEnded || (isEmpty(chunk) && this.verdict?.given === false)
    if (!nothing && this.admits(chunk)) return this.below.write.call(res, chunk, encoding, callback)
    calledBack([encoding, callback])
    return true
  }

  end(chunk: unknown, encoding: unknown, callback: unknown): unknown {
    const { res } = this.ctx
    const body = typeof chunk === 'function' || isEmpty(chunk) ? null : chunk
    // Answered before: the first answer counts. Node would end the process.
    if (!res.writableEnded && this.admits(body)) return this.below.end.call(res, chunk, encoding, callback)
    calledBack([chunk, encoding, callback])
    return res
  }

  flushHeaders(): void {
    const { res } = this.ctx
    if (this.admits(isBodyless(res) ? null : undefined)) this.below.flushHeaders.call(res)
  }

  /** Shapes a body, then hands it on to the method of that name. */
  json(name: 'json' | 'jsonp', first: unknown, second: unknown): void {
    if (this.isOver) return
    const { ctx } = this
    if (this.shapers.length === 0) {
      const send = jsonBelow(ctx.res, name, this.below)
      // Express 4 counts its arguments.
      if (second === undefined) send.call(ctx.res, first)
      else send.call(ctx.res, first, second)
      return
    }
    let shaped: unknown
    try {
      shaped = shape(ctx, this.shapers, bodyOf(ctx.res, first, second))
    } catch (cause) {
      return this.shapingFailed(cause)
    }
    if (!isThenable(shaped)) return this.deliver(name, shaped)
    shaped
      .then((body) => this.deliver(name, body))
      .then(undefined, (cause: unknown) => this.shapingFailed(cause))
  }

  private deliver(name: 'json' | 'jsonp', body: unknown): void {
    const { res } = this.ctx
    const verdict = this.judging()
    // Answered before: the first answer counts.
    if (!verdict.raw || res.writableEnded || res.destroyed || this.isOver) return
    const send = jsonBelow(res, name, this.below)
    // Whoever has replaced it may add to what was shaped.
    if (isReplaced(res, name, send)) onText(res, body, () => (verdict.raw = false))
    else verdict.raw = false
    try {
      send.call(res, body)
    } catch (error) {
      verdict.raw = true
      throw error
    }
  }

  private shapingFailed(cause: unknown): void {
    this.refuse(refuse('unshapable', { rule: 'shaper-failed', cause }))
  }

  private hearOfHead(): void {
    for (const listener of this.listeners) listener(this.ctx)
    this.listeners = NONE
  }

  /** Whether a reply can be sent in one piece: nobody has set a field, and what wrapped the methods might not expect it. */
  private isPlain(): boolean {
    const { res } = this.ctx
    return isUnwrapped(res, this.below) && res.getHeaderNames().length === 0
  }

  private judging(): ReplyVerdict {
    return (this.verdict ??= new ReplyVerdict(this.ctx))
  }

  /**
   * What stands against a reply whose body nobody has seen yet. Without a body it has nothing to hide, so that can wait: Node
   * writes the head with the first byte, or at the end.
   */
  private unseen(): Problem | undefined {
    const { state, verdict } = this
    return state === 'open' && verdict?.given === false ? verdict.objection(undefined) : undefined
  }

  /** Asked before anything is written; `body` as in `unshapable`. */
  private admits(body: unknown): boolean {
    const { state, verdict } = this
    if (state === 'over') return false
    if (verdict === undefined || verdict.given) return true
    this.completeHead()

    const problem = verdict.objection(body)
    if (problem === undefined) verdict.give(body)
    else this.refuse(problem)
    return problem === undefined
  }

  /** Whoever wrapped `writeHead` later, as `on-headers` does, completes the head while it is written: that has to come first. */
  private completeHead(): void {
    const { res } = this.ctx
    if (res.headersSent || isOurs(res)) return
    if (!this.announced) {
      this.announcing = true
      try {
        res.writeHead(res.statusCode)
      } finally {
        this.announcing = false
      }
    }
    interceptHead(res)
  }
}

const NONE: readonly never[] = []
