import { createHmac, type KeyObject } from 'node:crypto'

/** What is known of a nonce: the newest one, one that is still good, or none of ours. */
export type NonceVerdict = 'newest' | 'good' | 'foreign'

/**
 * Nonces of the server (RFC 9449 section 9), without anything to keep: a keyed hash of the time, changed every
 * `lifetimeSeconds`. The one before is good too, and the one after: the clock of another process may be ahead.
 */
export class ServerNonces {
  private period = NaN
  private newest = ''
  private good: ReadonlySet<string> = new Set()

  /** @param keys the first one makes nonces; the others are still known */
  constructor(
    private readonly keys: readonly KeyObject[],
    private readonly lifetimeSeconds: number,
  ) {}

  /** @param nowMs milliseconds since 1970 */
  current(nowMs: number): string {
    this.turn(nowMs)
    return this.newest
  }

  judge(nonce: unknown, nowMs: number): NonceVerdict {
    this.turn(nowMs)
    if (nonce === this.newest) return 'newest'
    return this.good.has(nonce as string) ? 'good' : 'foreign'
  }

  private turn(nowMs: number): void {
    const period = Math.floor(nowMs / (this.lifetimeSeconds * 1000))
    if (period === this.period) return
    this.period = period
    this.newest = made(this.keys[0]!, period)
    this.good = new Set(this.keys.flatMap((key) => [-1, 0, 1].map((later) => made(key, period + later))))
  }
}

function made(key: KeyObject, period: number): string {
  return createHmac('sha256', key).update(`dpop-nonce ${period}`).digest('base64url')
}
