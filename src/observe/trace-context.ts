import { randomFillSync } from 'node:crypto'

/** What a valid `traceparent` says: the trace it belongs to, and whether the caller may have recorded it. */
export interface TraceParent {
  readonly traceId: string
  readonly sampled: boolean
}

const VERSION_00 = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/
const ZERO_TRACE = '0'.repeat(32)
const ZERO_SPAN = '0'.repeat(16)

/**
 * Reads a `traceparent` of version 00: lower-case hex, exact length, no id that is all zero. `undefined` for everything
 * else, as W3C Trace Context (sections 3.2.2 and 4.3) wants: a caller's mistake starts a new trace and refuses nothing.
 */
export function parseTraceparent(value: unknown): TraceParent | undefined {
  if (typeof value !== 'string' || value.length !== 55) return undefined
  const [, traceId, spanId, flags] = VERSION_00.exec(value) ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  if (traceId === ZERO_TRACE || spanId === ZERO_SPAN) return undefined
  // Section 3.2.2.5.1: only `sampled` is defined in version 00; other bits are not handed on.
  return { traceId, sampled: (parseInt(flags, 16) & 1) === 1 }
}

/** The trace id of a `traceparent` that was made here. */
export function traceIdOf(traceparent: string): string {
  return traceparent.slice(3, 35)
}

/** Random identifiers as lower-case hex, cut from a pool: one call into the random generator serves 170 requests. */
export class RandomHex {
  private readonly pool = Buffer.alloc(4096)
  private used = 4096

  take(bytes: number): string {
    if (this.used + bytes > this.pool.length) {
      randomFillSync(this.pool)
      this.used = 0
    }
    const start = this.used
    this.used += bytes
    return this.pool.toString('hex', start, this.used)
  }
}
