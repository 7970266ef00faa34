import type { SecurityContext } from '../kernel/context.js'
import type { Head } from '../kernel/head.js'
import type { HitResult } from '../kernel/ports.js'
import { allowance } from './allowance.js'
import type { CheckedLimit } from './limit.js'

/** Tells the client, and whoever reads the slot, what a limit has left. */
export type Announce = (ctx: SecurityContext, result: HitResult) => void

type Write = (head: Head, result: HitResult, resetAt: number) => void

/**
 * Prepares what never changes. Where several stages of one exchange announce limits, their lists are joined; of the older
 * header fields, which have room for one limit only, the tightest one is told.
 */
export function announcer({ name, policy, headers }: CheckedLimit): Announce {
  const { limit, windowMs } = policy
  const write = headers === false ? undefined : styles[headers](name, limit, Math.ceil(windowMs / 1000))

  return (ctx, result) => {
    const resetAt = ctx.services.clock.now() + result.refillMs
    const before = ctx.get(allowance)
    if (before === undefined || result.left < before.left) {
      ctx.set(allowance, { name, limit, left: result.left, resetAt })
    }
    if (write !== undefined && !ctx.res.headersSent) write(ctx.head, result, resetAt)
  }
}

const styles = { 'draft-11': draft11, 'draft-6': draft6, legacy }

/** draft-ietf-httpapi-ratelimit-headers-11: `t` counts to the moment when more units are there. */
function draft11(name: string, limit: number, windowSeconds: number): Write {
  const policy = `"${name}";q=${limit};w=${windowSeconds}`
  return (head, { left, refillMs }) => {
    append(head, 'RateLimit-Policy', policy)
    append(head, 'RateLimit', `"${name}";r=${left};t=${Math.ceil(refillMs / 1000)}`)
  }
}

function draft6(_name: string, limit: number, windowSeconds: number): Write {
  const policy = `${limit};w=${windowSeconds}`
  return (head, { left, refillMs }) => {
    append(head, 'RateLimit-Policy', policy)
    if (!isTightest(head, 'RateLimit-Remaining', left)) return
    head.setHeader('RateLimit-Limit', limit)
    head.setHeader('RateLimit-Remaining', left)
    head.setHeader('RateLimit-Reset', Math.ceil(refillMs / 1000))
  }
}

/** Follows no standard. The reset is a moment, as with the services that made these fields known. */
function legacy(_name: string, limit: number): Write {
  return (head, { left }, resetAt) => {
    if (!isTightest(head, 'X-RateLimit-Remaining', left)) return
    head.setHeader('X-RateLimit-Limit', limit)
    head.setHeader('X-RateLimit-Remaining', left)
    head.setHeader('X-RateLimit-Reset', Math.ceil(resetAt / 1000))
  }
}

function append(head: Head, field: string, item: string): void {
  const before = head.getHeader(field)
  head.setHeader(field, before === undefined ? item : `${String(before)}, ${item}`)
}

function isTightest(head: Head, field: string, left: number): boolean {
  const before = head.getHeader(field)
  return before === undefined || left < Number(before)
}
