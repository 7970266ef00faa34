import type { SecurityContext } from './context.js'
import type { Problem } from './problem.js'
import { ReplyGate, type HeadListener } from './reply-gate.js'
import type { Veto } from './reply-verdict.js'
import type { Stage } from './stage.js'

/** Lets header fields wait from now on, so that a refusal can be sent in one piece. */
export function openReply(ctx: SecurityContext): void {
  replyOf(ctx)
}

/** Puts `stages` between the handler's JSON and the wire. The last one added is the first to see a body. */
export function addShapers(ctx: SecurityContext, stages: readonly Stage[]): void {
  replyOf(ctx).addShapers(stages)
}

/** Asks `veto` before the first byte of anything but our own refusals. */
export function addVeto(ctx: SecurityContext, veto: Veto): void {
  replyOf(ctx).addVeto(veto)
}

/**
 * Calls `listener` once, right before the status line is written, for refusals too. `ctx.res.statusCode` is final and
 * header fields can still be set.
 */
export function onHead(ctx: SecurityContext, listener: HeadListener): void {
  replyOf(ctx).onHead(listener)
}

/**
 * Puts a refusal in the place of what the handler wanted to send, and drops what it still says. Never handed on to the
 * application: its handler may still be writing.
 */
export function refuseReply(ctx: SecurityContext, problem: Problem, stage?: string): void {
  replyOf(ctx).refuse(problem, stage)
}

function replyOf(ctx: SecurityContext): ReplyGate {
  return (ctx.reply ??= new ReplyGate(ctx))
}
