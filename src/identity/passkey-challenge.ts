import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

/** What a challenge is for, and for whom: what was asked for one thing proves nothing else. */
export type PasskeyPurpose = 'register' | 'authenticate' | 'login'

const RANDOM_BYTES = 16
const TIME_BYTES = 6
const TAG_BYTES = 32
const LENGTH = RANDOM_BYTES + TIME_BYTES + TAG_BYTES
/** How far the clocks of processes may be apart, in milliseconds. */
const SKEW_MS = 60_000

/**
 * Challenges that say by themselves whom they were given to and until when they are good, so that asking for one keeps
 * nothing: nobody who is anonymous fills a store. Only who shows a good answer uses one up.
 */
export class PasskeyChallenges {
  private readonly keys: readonly Buffer[]

  constructor(
    keys: readonly KeyObject[],
    private readonly lifetimeMs: number,
  ) {
    this.keys = keys.map((key) =>
      Buffer.from(hkdfSync('sha256', key, '', 'secure-api passkey challenges', 32)),
    )
  }

  /** @param holder the subject, or what only one browser has */
  make(purpose: PasskeyPurpose, holder: string, now: number): Buffer {
    const head = Buffer.concat([randomBytes(RANDOM_BYTES), Buffer.alloc(TIME_BYTES)])
    head.writeUIntBE(now + this.lifetimeMs, RANDOM_BYTES, TIME_BYTES)
    return Buffer.concat([head, tag(this.keys[0]!, purpose, holder, head)])
  }

  /**
   * How long to remember that it was used, in milliseconds: as long as it is good where the clock is behind. `undefined` for one that
   * is over, was given to others or for something else.
   */
  leftOf(text: unknown, purpose: PasskeyPurpose, holder: string, now: number): number | undefined {
    if (typeof text !== 'string' || text.length !== LENGTH_IN_TEXT) return undefined
    const bytes = Buffer.from(text, 'base64url')
    if (bytes.length !== LENGTH || bytes.toString('base64url') !== text) return undefined
    const head = bytes.subarray(0, -TAG_BYTES)
    const given = bytes.subarray(-TAG_BYTES)
    if (!this.keys.some((key) => timingSafeEqual(tag(key, purpose, holder, head), given))) return undefined
    const end = head.readUIntBE(RANDOM_BYTES, TIME_BYTES)
    // Whoever made it may have a clock that is ahead.
    return now < end && end <= now + this.lifetimeMs + SKEW_MS ? end - now + SKEW_MS : undefined
  }
}

const LENGTH_IN_TEXT = Math.ceil((LENGTH * 4) / 3)

function tag(key: Buffer, purpose: PasskeyPurpose, holder: string, head: Buffer): Buffer {
  return createHmac('sha256', key)
    .update(JSON.stringify([purpose, holder]))
    .update(head)
    .digest()
}
